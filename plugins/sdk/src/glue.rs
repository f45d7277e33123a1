//! What the macros expand to, kept out of them so that it is compiled once and read here.

use crate::{Diagnostic, Level, log};

/// The component type, the plugin's state, access to it, and `describe`.
#[doc(hidden)]
#[macro_export]
macro_rules! __plugin {
    ($plugin:ty, $kind:path) => {
        // Natively the exports are left out: their names are no linker's, and tests call the trait.
        #[cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "only a component has a host that calls it"))]
        struct Component;

        ::std::thread_local! {
            static PLUGIN: ::std::cell::RefCell<::std::option::Option<$plugin>> = const { ::std::cell::RefCell::new(None) };
        }

        fn keep(plugin: $plugin) {
            PLUGIN.with(|state| *state.borrow_mut() = Some(plugin));
        }

        fn with<T>(call: impl FnOnce(&$plugin) -> T) -> ::std::option::Option<T> {
            PLUGIN.with(|state| state.borrow().as_ref().map(call))
        }

        impl $crate::bindings::plugin::exports::signet::plugin::describe::Guest for Component {
            fn describe() -> $crate::Description {
                with(|plugin| <$plugin as $kind>::describe(plugin)).unwrap_or_else(|| $crate::glue::not_configured("describe"))
            }
        }

        #[cfg(target_family = "wasm")]
        $crate::bindings::plugin::export_describe!(Component with_types_in $crate::bindings::plugin);
    };
}

/// Runs `configure`, keeps the plugin, and switches the allocator for the calls that follow.
pub fn configured<P, S>(configure: impl FnOnce() -> Result<(P, S), Vec<Diagnostic>>, keep: impl FnOnce(P)) -> Result<S, Vec<Diagnostic>> {
    report_panics();
    let (plugin, summary) = configure()?;
    keep(plugin);
    #[cfg(all(target_family = "wasm", feature = "allocator"))]
    crate::ALLOCATOR.seal();
    Ok(summary)
}

/// A panic becomes a trap, which has no text: the log carries it.
pub fn report_panics() {
    if cfg!(target_family = "wasm") {
        std::panic::set_hook(Box::new(|panic| log(Level::Error, &panic.to_string())));
    }
}

/// The host calls `configure` first; one that does not gets a trap that says so.
pub fn not_configured<T>(call: &str) -> T {
    report_panics();
    panic!("{call} was called before configure succeeded")
}
