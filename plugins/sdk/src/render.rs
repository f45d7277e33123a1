//! Renderers: the trait, the macro, and what a renderer answers.

pub use crate::bindings::render::exports::signet::render::renderer::{Asset, Fragment, Summary};
use crate::{Description, Diagnostic, File, Format, Moment, Person, PluginError};

/// A plugin that renders signatures. Register it with [`renderer!`](crate::renderer!).
pub trait Renderer: Sized + 'static {
    /// Reads the templates. The value returned is what every later call starts from; an error carries every finding, not only the first.
    fn configure(files: &[File], assets: &[Asset]) -> Result<(Self, Summary), Vec<Diagnostic>>;

    /// Who the plugin is and which attributes it wants.
    fn describe(&self) -> Description;

    /// Renders signature `id` for `person` in the forms that a message of `format` has.
    fn render(&self, id: &str, person: &Person, locale: &str, now: &Moment, format: &Format) -> Result<Fragment, PluginError>;
}

/// Makes `$plugin`, a [`Renderer`], the crate's component.
#[macro_export]
macro_rules! renderer {
    ($plugin:ty) => {
        const _: () = {
            $crate::__plugin!($plugin, $crate::Renderer);

            impl $crate::bindings::render::exports::signet::render::renderer::Guest for Component {
                fn configure(
                    files: ::std::vec::Vec<$crate::File>,
                    assets: ::std::vec::Vec<$crate::render::Asset>,
                ) -> ::std::result::Result<$crate::render::Summary, ::std::vec::Vec<$crate::Diagnostic>> {
                    $crate::glue::configured(|| <$plugin as $crate::Renderer>::configure(&files, &assets), keep)
                }

                fn render(
                    id: ::std::string::String,
                    person: $crate::Person,
                    locale: ::std::string::String,
                    now: $crate::Moment,
                    format: $crate::Format,
                ) -> ::std::result::Result<$crate::render::Fragment, $crate::PluginError> {
                    with(|plugin| $crate::Renderer::render(plugin, &id, &person, &locale, &now, &format))
                        .unwrap_or_else(|| $crate::glue::not_configured("render"))
                }
            }

            #[cfg(target_family = "wasm")]
    $crate::bindings::render::export_renderer!(Component with_types_in $crate::bindings::render);
        };
    };
}
