//! Reads the folder that an operator edits: rules, templates, images, people, and what is to be known of the tenant. Nothing is judged here but
//! what stands in `tenant.toml`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use serde::Deserialize;

use super::WorkbenchError;
use crate::address::{Domain, Mailbox};
use crate::config::{DEEPEST_FOLDER, Zone, media_type, walk};
use crate::directory::{self, Directory};
use crate::locale::Origin;
use crate::plugin::{Diagnostic, File, Severity};
use crate::signature::{Asset, Moment, RecipientClass};

/// The folder of templates.
pub(super) const TEMPLATES: &str = "templates";
const RULES: &str = "rules.toml";
const RULES_FOLDER: &str = "rules";
const TENANT: &str = "tenant.toml";

/// What an operator edits.
#[derive(Debug)]
pub struct Folder {
    pub(super) path: PathBuf,
    pub(super) rules: Vec<File>,
    pub(super) templates: Vec<File>,
    pub(super) assets: Vec<Arc<Asset>>,
    pub(super) directory: Directory,
    pub(super) selector: Option<Vec<u8>>,
    pub(super) renderer: Option<Vec<u8>>,
    pub(super) locale: String,
    pub(super) locale_from: Vec<Origin>,
    pub(super) findings: Vec<Diagnostic>,
    domains: Vec<Domain>,
    partners: Vec<Domain>,
    pub(super) zone: Zone,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTenant {
    /// Whose recipients are internal; where this is not said, the domains of the people.
    domains: Option<Vec<String>>,
    #[serde(default)]
    partners: Vec<String>,
    time_zone: Option<String>,
    #[serde(default)]
    locale: String,
    #[serde(default)]
    locale_from: Vec<String>,
    selector: Option<String>,
    renderer: Option<String>,
}

impl Folder {
    /// Reads it. Mistakes in `tenant.toml` and in the people are findings; a missing or unreadable file is an error.
    pub fn read(path: PathBuf) -> Result<Self, WorkbenchError> {
        let mut findings = Vec::new();
        let rules = rules(&path)?;
        let templates = texts(&path, TEMPLATES, "")?;
        let assets = assets(&path.join("assets"))?;
        let directory = people(&path, &mut findings)?;
        let raw = tenant(&path.join(TENANT), &mut findings)?;
        let mut domain = |text: &String| match Domain::parse(text) {
            Ok(domain) => Some(domain),
            Err(error) => {
                findings.push(mistake("domains", format!("{error}; for example domains = [\"example.com\"]")));
                None
            }
        };
        let partners = raw.partners.iter().filter_map(&mut domain).collect();
        let domains = match &raw.domains {
            Some(domains) => domains.iter().filter_map(&mut domain).collect(),
            None => domains_of(&directory),
        };
        let zone = raw.time_zone.as_deref().map_or_else(|| Ok(Zone::default()), Zone::parse).unwrap_or_else(|fault| {
            let written = raw.time_zone.as_deref().unwrap_or_default();
            findings.push(mistake("time_zone", format!("{written:?} {fault}; for example time_zone = \"Europe/Berlin\"")));
            Zone::default()
        });
        let mut origin = |word: &String| {
            if Origin::parse(word).is_none() {
                findings.push(mistake(
                    "locale_from",
                    format!("{word:?} is not \"message\" or \"person\"; for example locale_from = [\"person\"]"),
                ));
            }
            Origin::parse(word)
        };
        let locale_from = raw.locale_from.iter().filter_map(&mut origin).collect();
        let component = |file: &Option<String>| file.as_ref().map(|file| octets(&path.join(file))).transpose();
        let (selector, renderer) = (component(&raw.selector)?, component(&raw.renderer)?);
        let locale = raw.locale;
        Ok(Self { rules, templates, assets, directory, selector, renderer, locale, locale_from, findings, domains, partners, zone, path })
    }

    /// Where a recipient stands.
    pub(super) fn class(&self, domain: &Domain) -> RecipientClass {
        if self.domains.contains(domain) {
            RecipientClass::Internal
        } else if self.partners.contains(domain) {
            RecipientClass::Partner
        } else {
            RecipientClass::External
        }
    }

    /// One of the tenant's own domains.
    pub(super) fn own_domain(&self) -> Option<&Domain> {
        self.domains.first()
    }

    /// A point in time as plugins see it.
    pub(super) fn moment(&self, at: SystemTime) -> Moment {
        self.zone.moment(at)
    }
}

/// The one file, the files of the folder, or both.
fn rules(path: &Path) -> Result<Vec<File>, WorkbenchError> {
    let (file, folder) = (path.join(RULES), path.join(RULES_FOLDER));
    if !file.exists() && !folder.is_dir() {
        return Err(WorkbenchError::Read { path: file, source: std::io::ErrorKind::NotFound.into() });
    }
    let mut rules = Vec::new();
    if file.exists() {
        rules.push(File { name: RULES.to_owned(), content: text(&file)? });
    }
    if folder.is_dir() {
        rules.extend(texts(path, RULES_FOLDER, &format!("{RULES_FOLDER}/"))?);
    }
    Ok(rules)
}

fn domains_of(directory: &Directory) -> Vec<Domain> {
    let mut domains: Vec<Domain> =
        directory.people_addresses().filter_map(|address| Some(Mailbox::parse(address).ok()?.domain().clone())).collect();
    domains.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    domains.dedup();
    domains
}

fn tenant(path: &Path, findings: &mut Vec<Diagnostic>) -> Result<RawTenant, WorkbenchError> {
    if !path.exists() {
        return Ok(RawTenant::default());
    }
    let content = text(path)?;
    Ok(toml::from_str(&content).unwrap_or_else(|error| {
        let before = error.span().map_or("", |span| &content[..span.start]);
        let line = u32::try_from(before.matches('\n').count() + 1).unwrap_or(0);
        let message = format!("{}; for example domains = [\"example.com\"]", error.message());
        findings.push(Diagnostic { line, ..mistake("", message) });
        RawTenant::default()
    }))
}

fn mistake(key: &str, message: String) -> Diagnostic {
    Diagnostic { severity: Severity::Error, file: TENANT.to_owned(), line: 0, key: key.to_owned(), message }
}

fn people(path: &Path, findings: &mut Vec<Diagnostic>) -> Result<Directory, WorkbenchError> {
    for (name, read) in [("people.toml", Directory::from_toml as fn(&[u8]) -> _), ("people.csv", Directory::from_csv)] {
        let file = path.join(name);
        if !file.exists() {
            continue;
        }
        let (directory, found): (Directory, Vec<directory::Finding>) = read(&octets(&file)?);
        findings.extend(found.into_iter().map(|finding| Diagnostic {
            severity: match finding.severity {
                directory::Severity::Error => Severity::Error,
                directory::Severity::Warning => Severity::Warning,
            },
            file: name.to_owned(),
            line: u32::try_from(finding.line).unwrap_or(0),
            key: finding.key,
            message: finding.message,
        }));
        return Ok(directory);
    }
    Ok(Directory::default())
}

fn texts(path: &Path, folder: &str, prefix: &str) -> Result<Vec<File>, WorkbenchError> {
    let files = files(&path.join(folder), prefix)?;
    files.into_iter().map(|(path, name)| Ok(File { name, content: text(&path)? })).collect()
}

fn assets(folder: &Path) -> Result<Vec<Arc<Asset>>, WorkbenchError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut assets = Vec::new();
    for (path, name) in files(folder, "")? {
        let content = octets(&path)?;
        let Some(media_type) = media_type(&content) else {
            return Err(WorkbenchError::Question(format!("{} is not a PNG, JPEG, GIF or WebP image", path.display())));
        };
        assets.push(Arc::new(Asset { name, media_type: media_type.to_owned(), content: Bytes::from(content) }));
    }
    Ok(assets)
}

/// The files of a folder with their names, in ascending order.
pub(super) fn files(folder: &Path, prefix: &str) -> Result<Vec<(PathBuf, String)>, WorkbenchError> {
    let mut files = Vec::new();
    let walked = walk(folder, prefix, DEEPEST_FOLDER, &mut files);
    walked.map_err(|source| WorkbenchError::Read { path: folder.to_owned(), source })?;
    files.sort_by(|one, other| one.1.cmp(&other.1));
    Ok(files)
}

pub(super) fn text(path: &Path) -> Result<String, WorkbenchError> {
    fs::read_to_string(path).map_err(|source| WorkbenchError::Read { path: path.to_owned(), source })
}

pub(super) fn octets(path: &Path) -> Result<Vec<u8>, WorkbenchError> {
    fs::read(path).map_err(|source| WorkbenchError::Read { path: path.to_owned(), source })
}
