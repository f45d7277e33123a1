//! The host side of the control plugin.
//!
//! - [`credentials`]: sign-in, consent and tokens: everything secret.
//!
//! All knowledge of the service that is connected is the plugin's. Nothing on the mail path knows this module.

pub mod credentials;
