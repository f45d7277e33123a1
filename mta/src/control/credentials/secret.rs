//! Values that must not be seen: secrets, tokens, keys of one sign-in. Overwritten when dropped, hidden from every formatter.
//!
//! It protects what is kept. Buffers that a library fills on the way (the HTTP and JSON ones) are freed without being overwritten.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use url::Url;
use zeroize::Zeroizing;

/// What a formatter shows in the place of a secret.
const HIDDEN: &str = "(hidden)";

/// Text that nobody may see.
#[derive(Clone)]
pub(super) struct Secret(Zeroizing<String>);

impl Secret {
    pub(super) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for the one place that sends it.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether both are the same; the time that it takes tells nothing about the text.
    pub(super) fn is(&self, other: &str) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_bytes(), other.as_bytes()).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(HIDDEN)
    }
}

/// An access token (RFC 6750) and where it may be sent. Printing it does not show the token.
#[derive(Clone)]
pub struct Bearer {
    token: Arc<Secret>,
    resource: Arc<Url>,
    expires: SystemTime,
}

impl Bearer {
    pub(super) fn new(token: Secret, resource: Arc<Url>, expires: SystemTime) -> Self {
        Self { token: Arc::new(token), resource, expires }
    }

    /// The value of the Authorization field.
    pub fn authorization(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("Bearer {}", self.token.expose()))
    }

    /// Whether the token was issued for the service at that address: same scheme, host and port. It must not be sent anywhere else.
    pub fn is_for(&self, url: &Url) -> bool {
        self.resource.origin() == url.origin()
    }

    /// Scheme, host and port of the service that it was issued for.
    pub fn origin(&self) -> String {
        self.resource.origin().ascii_serialization()
    }

    /// When it stops working.
    pub fn expires(&self) -> SystemTime {
        self.expires
    }

    /// Whether both are the same token.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.token.is(other.token.expose())
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Bearer").field("token", &self.token).field("resource", &self.resource.as_str()).finish_non_exhaustive()
    }
}

impl fmt::Display for Bearer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(HIDDEN)
    }
}

/// `N` octets from the cryptographic generator; none when the system cannot give any.
pub(super) fn random<const N: usize>() -> Option<Zeroizing<[u8; N]>> {
    let mut octets = Zeroizing::new([0; N]);
    aws_lc_rs::rand::fill(octets.as_mut_slice()).ok()?;
    Some(octets)
}
