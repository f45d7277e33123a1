//! The trial of the loop: one message through the tenant's mail service and back. The control plane only asks for it; it knows no mail.

use std::future::Future;
use std::pin::Pin;

use crate::control::words::Trial;

/// Who can try the loop.
pub trait Probe: Send + Sync {
    /// Sends a message of `sender`, which the tenant's rule lets through, and waits until it has come back or will not.
    fn send<'a>(&'a self, tenant: &'a str, sender: &'a str) -> Pin<Box<dyn Future<Output = Trial> + Send + 'a>>;
}
