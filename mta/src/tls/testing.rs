//! Certificates for tests: an authority, what it issues, and files in a folder that goes away.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

use super::{CertificateFiles, Roots};

pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

pub(crate) struct Leaf<'a> {
    pub(crate) names: &'a [&'a str],
    pub(crate) common_name: &'a str,
    pub(crate) years: (i32, i32),
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("self-signed");
        Self { issuer }
    }

    /// Chain and key in PEM.
    pub(crate) fn issue(&self, leaf: &Leaf<'_>) -> (String, String) {
        let names: Vec<String> = leaf.names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, leaf.common_name);
        params.not_before = date_time_ymd(leaf.years.0, 1, 1);
        params.not_after = date_time_ymd(leaf.years.1, 1, 1);
        let key = KeyPair::generate().expect("key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) fn roots(&self, folder: &Folder) -> Roots {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("roots-{}.pem", COUNT.fetch_add(1, Ordering::Relaxed));
        Roots::File(folder.write(&name, &self.issuer.pem(), 0o644))
    }

    /// Files of a certificate that is valid now, for these names.
    pub(crate) fn files(&self, folder: &Folder, stem: &str, names: &[&str]) -> CertificateFiles {
        let (chain, key) = self.issue(&Leaf { names, common_name: stem, years: (2000, 2100) });
        folder.files(stem, &chain, &key)
    }
}

pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("signet-tls-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("folder");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let (path, fresh) = (self.0.join(name), self.0.join(format!("{name}.new")));
        std::fs::write(&fresh, text).expect("written");
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(mode)).expect("mode");
        std::fs::rename(&fresh, &path).expect("renamed");
        path
    }

    pub(crate) fn files(&self, stem: &str, chain: &str, key: &str) -> CertificateFiles {
        CertificateFiles { chain: self.write(&format!("{stem}.pem"), chain, 0o644), key: self.write(&format!("{stem}.key"), key, 0o600) }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("removed");
    }
}
