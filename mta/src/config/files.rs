//! Files that the configuration names: each is opened and checked while the configuration is loaded, so that nothing fails later.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::raw::{Leaf, List, RawComponent, Section};
use super::source::{At, Source};
use super::{Component, KeyFile, TextFile, units};
use crate::address::Domain;
use crate::seal::{Key, MIN_KEY};
use crate::signature::Asset;
use crate::tls::{CertificateFiles, ClientAuthentication, ClientTls, ClientTlsSettings, Roots, ServerTls, ServerTlsSettings, TlsError};

/// A certificate chain, a key, a secret: a file larger than this is something else.
const MOST_OF_A_SMALL_FILE: u64 = 1024 * 1024;
/// Trust roots of a whole operating system are a quarter of this.
const MOST_OF_ROOTS: u64 = 16 * 1024 * 1024;
/// Rules and templates are text that people write.
const MOST_OF_A_TEXT: u64 = 4 * 1024 * 1024;
/// An image of a signature travels with every message.
const MOST_OF_AN_ASSET: u64 = 1024 * 1024;
/// More templates or images than this are a folder that was named by mistake.
const MOST_FILES: usize = 1000;
/// Templates in folders in folders: deeper than this is a loop of links.
pub(crate) const DEEPEST: usize = 8;

impl Source<'_> {
    /// A path to a file that can be read; `example` is in TOML.
    pub(super) fn file(&mut self, leaf: &Leaf, example: &str, most: u64) -> Option<(PathBuf, Arc<[u8]>)> {
        let path = self.value(leaf, example, units::text)?;
        self.open(&path, leaf.span()?, example, most)
    }

    fn open(&mut self, path: &str, span: Range<usize>, example: &str, most: u64) -> Option<(PathBuf, Arc<[u8]>)> {
        let resolved = self.resolve(path);
        match self.read(&resolved, most) {
            Ok(content) => Some((resolved, content)),
            Err(error) => {
                self.wrong(&At::Span(span), format!("{path:?} ({}) {}", resolved.display(), unreadable(&error)), example);
                None
            }
        }
    }

    /// A file that only its owner may read.
    pub(super) fn secret_file(&mut self, leaf: &Leaf, example: &str) -> Option<(PathBuf, Arc<[u8]>)> {
        let (path, content) = self.file(leaf, example, MOST_OF_A_SMALL_FILE)?;
        if let Some(mode) = exposed(&path) {
            let message = format!("{} has mode {mode:04o} and can be read by others; run: chmod 600 {}", path.display(), path.display());
            self.error(At::Span(leaf.span()?), message, None);
            return None;
        }
        Some((path, content))
    }

    /// A secret text, given in place or in a file of its own; one line.
    pub(super) fn secret_text(&mut self, value: &Leaf, file: &Leaf, missing: At, example: &str) -> Option<(String, Range<usize>)> {
        match (value.span(), file.span()) {
            (Some(_), Some(span)) => {
                self.error(At::Span(span), "is given twice: in place and in a file; remove one".to_owned(), None);
                None
            }
            (Some(span), None) => {
                if let Some(mode) = exposed(self.path()) {
                    let message =
                        format!("is a secret, and this file has mode {mode:04o} and can be read by others; run: chmod 600, or use a file");
                    self.warn(At::Span(span.clone()), message);
                }
                Some((self.secret(value, example)?, span))
            }
            (None, Some(span)) => {
                let (path, content) = self.secret_file(file, "\"secret.txt\"")?;
                let text = std::str::from_utf8(&content).ok().map(str::trim);
                let text = text.filter(|text| !text.is_empty() && !text.chars().any(char::is_control));
                if text.is_none() {
                    self.error(At::Span(span.clone()), format!("{} does not hold one line of text", path.display()), None);
                }
                Some((text?.to_owned(), span))
            }
            (None, None) => {
                self.wrong(&missing, "is missing".to_owned(), example);
                None
            }
        }
    }

    /// The key of a keyed MAC.
    pub(super) fn mac_key(&mut self, leaf: &Leaf) -> Option<Arc<[u8]>> {
        let (path, content) = self.secret_file(leaf, "\"loop.key\"")?;
        let key = content.trim_ascii();
        if key.len() < MIN_KEY {
            let message = format!("{} holds {} octets, fewer than {MIN_KEY}; run: openssl rand -hex 32", path.display(), key.len());
            self.error(At::Span(leaf.span()?), message, None);
            return None;
        }
        Some(key.into())
    }

    /// A private key of DKIM signatures or ARC sets, checked by the module that will use it.
    pub(super) fn sealing_key(
        &mut self,
        leaf: &Leaf,
        missing: At,
        domain: Option<Domain>,
        selector: Option<String>,
    ) -> Option<(KeyFile, Key)> {
        self.required(leaf, missing, "\"dkim.pem\"", units::text)?;
        let (path, _) = self.file(leaf, "\"dkim.pem\"", MOST_OF_A_SMALL_FILE)?;
        let (domain, selector) = (domain?, selector?);
        match Key::load(&path, domain.clone(), &selector) {
            Ok(key) => Some((KeyFile { domain, selector, path }, key)),
            Err(error) => {
                self.error(At::Span(leaf.span()?), error.to_string(), None);
                None
            }
        }
    }

    /// A certificate chain and its key, both checked by the module that will use them.
    pub(super) fn identity(&mut self, certificate: &Leaf, key: &Leaf, missing: impl Fn(&str) -> At) -> Option<CertificateFiles> {
        let chain = self.required(certificate, missing("certificate"), "\"tls/mx.pem\"", units::text);
        self.required(key, missing("key"), "\"tls/mx.key\"", units::text)?;
        chain?;
        let chain = self.file(certificate, "\"tls/mx.pem\"", MOST_OF_A_SMALL_FILE);
        let key_file = self.file(key, "\"tls/mx.key\"", MOST_OF_A_SMALL_FILE);
        let files = CertificateFiles { chain: chain?.0, key: key_file?.0 };
        let settings = ServerTlsSettings {
            certificates: vec![files.clone()],
            client: ClientAuthentication::None,
            reload_interval: std::time::Duration::MAX,
        };
        match ServerTls::load(settings, self.now) {
            Ok(_) => Some(files),
            Err(error) => {
                let blames_key = match &error {
                    TlsError::Exposed { path, .. } | TlsError::NoKey { path } | TlsError::Damaged { path, .. } => *path == files.key,
                    TlsError::Mismatch { .. } => true,
                    _ => false,
                };
                let leaf = if blames_key { key } else { certificate };
                self.error(At::Span(leaf.span()?), error.to_string(), None);
                None
            }
        }
    }

    /// Trust roots: `system`, or a PEM file.
    pub(super) fn roots(&mut self, leaf: &Leaf) -> Option<Roots> {
        let text = self.value(leaf, "\"system\"", units::text)?;
        let roots = match text.as_str() {
            "system" => Roots::Native,
            _ => Roots::File(self.file(leaf, "\"system\"", MOST_OF_ROOTS)?.0),
        };
        match ClientTls::load(&ClientTlsSettings { certificate: None, roots: roots.clone() }, self.now) {
            Ok(_) => Some(roots),
            Err(error) => {
                self.error(At::Span(leaf.span()?), error.to_string(), None);
                None
            }
        }
    }

    /// A folder that is there.
    pub(super) fn folder(&mut self, leaf: &Leaf, example: &str) -> Option<PathBuf> {
        let path = self.value(leaf, example, units::text)?;
        let resolved = self.resolve(&path);
        if !resolved.is_dir() {
            let message = format!("{path:?} ({}) is not a folder that can be read", resolved.display());
            self.wrong(&At::Span(leaf.span()?), message, example);
            return None;
        }
        Some(resolved)
    }

    /// A plugin file with the SHA-256 that the operator approved.
    pub(super) fn component(&mut self, section: &Section<RawComponent>, path: &str, most: u64) -> Option<Component> {
        let raw = &section.body;
        section.span.as_ref()?;
        let missing = |key: &str| section.missing(&format!("{path}.{key}"));
        let sha256 = self.required(&raw.sha256, missing("sha256"), &format!("\"{}\"", "0123456789abcdef".repeat(4)), units::sha256);
        self.required(&raw.path, missing("path"), "\"plugins/select.wasm\"", units::text)?;
        let (file, wasm) = self.file(&raw.path, "\"plugins/select.wasm\"", most)?;
        let sha256 = sha256?;
        let found = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &wasm);
        if found.as_ref() != sha256 {
            let hex: String = found.as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
            let message = format!("is not the SHA-256 of {}; that is {hex}", file.display());
            self.error(At::Span(raw.sha256.span()?), message, None);
            return None;
        }
        Some(Component { path: file, wasm, sha256 })
    }

    /// Text files, each named.
    pub(super) fn texts(&mut self, list: &List, example: &str) -> Vec<TextFile> {
        let mut files = Vec::new();
        for (name, span) in self.list(list, example, units::text) {
            let Some((path, content)) = self.open(&name, span.clone(), example, MOST_OF_A_TEXT) else { continue };
            files.extend(self.text_file(&path, name, &content, &span));
        }
        files
    }

    /// All text files of a folder and its folders.
    pub(super) fn text_folder(&mut self, leaf: &Leaf, example: &str) -> Vec<TextFile> {
        let mut files = Vec::new();
        for (path, name) in self.folder_files(leaf, example) {
            let Some(span) = leaf.span() else { continue };
            if let Some((path, content)) = self.open_inside(&path, &span, MOST_OF_A_TEXT) {
                files.extend(self.text_file(&path, name, &content, &span));
            }
        }
        files
    }

    /// All images of a folder.
    pub(super) fn assets(&mut self, leaf: &Leaf, example: &str) -> Vec<Arc<Asset>> {
        let mut assets: Vec<Arc<Asset>> = Vec::new();
        for (path, name) in self.folder_files(leaf, example) {
            let Some(span) = leaf.span() else { continue };
            let Some((path, content)) = self.open_inside(&path, &span, MOST_OF_AN_ASSET) else { continue };
            let media_type = media_type(&content);
            let named = name.len() <= 64 && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".-_".contains(&octet));
            let fault = match media_type {
                None => "is not a PNG, JPEG, GIF or WebP image",
                Some(_) if !named => "has a name that is not made of letters, digits, \".\", \"-\" and \"_\"",
                Some(media_type) => {
                    assets.push(Arc::new(Asset { name, media_type: media_type.to_owned(), content: Bytes::copy_from_slice(&content) }));
                    continue;
                }
            };
            self.error(At::Span(span), format!("{} {fault}", path.display()), None);
        }
        assets
    }

    fn text_file(&mut self, path: &Path, name: String, content: &[u8], span: &Range<usize>) -> Option<TextFile> {
        match std::str::from_utf8(content) {
            Ok(content) => Some(TextFile { name, content: content.to_owned() }),
            Err(_) => {
                self.error(At::Span(span.clone()), format!("{} is not UTF-8 text", path.display()), None);
                None
            }
        }
    }

    fn open_inside(&mut self, path: &Path, span: &Range<usize>, most: u64) -> Option<(PathBuf, Arc<[u8]>)> {
        match self.read(path, most) {
            Ok(content) => Some((path.to_owned(), content)),
            Err(error) => {
                self.error(At::Span(span.clone()), format!("{} {}", path.display(), unreadable(&error)), None);
                None
            }
        }
    }

    /// The files of a folder with their names relative to it, in ascending order; hidden ones are left out.
    fn folder_files(&mut self, leaf: &Leaf, example: &str) -> Vec<(PathBuf, String)> {
        let (Some(folder), Some(span)) = (self.folder(leaf, example), leaf.span()) else { return Vec::new() };
        let mut files = Vec::new();
        if let Err(error) = walk(&folder, "", DEEPEST, &mut files) {
            self.error(At::Span(span.clone()), format!("{} {}", folder.display(), unreadable(&error)), None);
        }
        if files.len() > MOST_FILES {
            self.error(At::Span(span), format!("{} holds more than {MOST_FILES} files", folder.display()), None);
            return Vec::new();
        }
        files.sort_by(|a, b| a.1.cmp(&b.1));
        files
    }
}

/// The files below a folder with their names relative to it; hidden ones are left out.
pub(crate) fn walk(folder: &Path, prefix: &str, depth: usize, files: &mut Vec<(PathBuf, String)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if name.starts_with('.') || files.len() > MOST_FILES {
            continue;
        }
        let path = entry.path();
        if !path.is_dir() {
            files.push((path, format!("{prefix}{name}")));
        } else if depth > 0 {
            walk(&path, &format!("{prefix}{name}/"), depth - 1, files)?;
        }
    }
    Ok(())
}

fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "is not there; paths are relative to the folder of the configuration file".to_owned(),
        io::ErrorKind::FileTooLarge => error.to_string(),
        _ => format!("cannot be read: {error}"),
    }
}

/// By the first octets: what a file is called proves nothing.
pub(crate) fn media_type(content: &[u8]) -> Option<&'static str> {
    match content {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// The mode of a file that more than its owner can read.
#[cfg(unix)]
fn exposed(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn exposed(_: &Path) -> Option<u32> {
    None
}
