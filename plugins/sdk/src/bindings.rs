//! The generated bindings. The worlds of `wit/` are taken apart here into what both kinds of plugin export (`describe`) and what only one
//! of them does, because two worlds in one crate that export the same interface would collide; the encoder joins the parts that a
//! plugin's macro names. Types are generated once and shared, so that a person is the same Rust type everywhere.
//!
//! Generated code, so the house lints are off; its `unsafe` is the canonical ABI's.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::too_many_lines,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

/// What every plugin exports, and the types and the log that every world shares.
pub mod plugin {
    wit_bindgen::generate!({
        path: ["../../wit/mail", "../../wit/plugin"],
        inline: "
            package signet:sdk-plugin;
            world plugin {
                import signet:mail/types@0.1.0;
                import signet:plugin/types@0.1.0;
                import signet:plugin/log@0.1.0;
                export signet:plugin/describe@0.1.0;
            }",
        pub_export_macro: true,
        export_macro_name: "export_describe",
        default_bindings_module: "signet_plugin_sdk::bindings::plugin",
        generate_unused_types: true,
        additional_derives: [PartialEq],
        generate_all,
    });
}

/// What a selector exports, and the lent message.
pub mod select {
    wit_bindgen::generate!({
        path: ["../../wit/mail", "../../wit/plugin", "../../wit/select"],
        inline: "
            package signet:sdk-select;
            world select {
                import signet:mail/message@0.1.0;
                export signet:select/selector@0.1.0;
            }",
        pub_export_macro: true,
        export_macro_name: "export_selector",
        default_bindings_module: "signet_plugin_sdk::bindings::select",
        additional_derives: [PartialEq],
        with: {
            "signet:mail/types@0.1.0": super::plugin::signet::mail::types,
            "signet:mail/message@0.1.0": generate,
            "signet:plugin/types@0.1.0": super::plugin::signet::plugin::types,
            "signet:select/selector@0.1.0": generate,
        },
    });
}

/// What a renderer exports.
pub mod render {
    wit_bindgen::generate!({
        path: ["../../wit/mail", "../../wit/plugin", "../../wit/render"],
        inline: "
            package signet:sdk-render;
            world render {
                export signet:render/renderer@0.1.0;
            }",
        pub_export_macro: true,
        export_macro_name: "export_renderer",
        default_bindings_module: "signet_plugin_sdk::bindings::render",
        additional_derives: [PartialEq],
        with: {
            "signet:mail/types@0.1.0": super::plugin::signet::mail::types,
            "signet:plugin/types@0.1.0": super::plugin::signet::plugin::types,
            "signet:render/renderer@0.1.0": generate,
        },
    });
}

/// What a controller exports, and what it may reach.
pub mod control {
    wit_bindgen::generate!({
        path: ["../../wit/mail", "../../wit/plugin", "../../wit/control"],
        inline: "
            package signet:sdk-control;
            world control {
                import signet:control/http@0.1.0;
                import signet:control/state@0.1.0;
                import signet:control/clock@0.1.0;
                export signet:control/controller@0.1.0;
            }",
        pub_export_macro: true,
        export_macro_name: "export_controller",
        default_bindings_module: "signet_plugin_sdk::bindings::control",
        additional_derives: [PartialEq],
        with: {
            "signet:control/http@0.1.0": generate,
            "signet:control/state@0.1.0": generate,
            "signet:control/clock@0.1.0": generate,
            "signet:control/controller@0.1.0": generate,
        },
    });
}
