//! Reading the templates, and finding what is wrong with them before a message meets them.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{Environment, Error, ErrorKind};
use signet_plugin_sdk::render::{Asset, Summary};
use signet_plugin_sdk::settings::{self, Table};
use signet_plugin_sdk::{Address, Diagnostic, File, Moment, Person, Severity, diagnostic};

use crate::context::{Context, RESERVED};
use crate::{Signature, Templates, environment, markup};

/// The optional file with variables and further signatures.
const SETTINGS: &str = "signatures.toml";

/// Everything that is read before the templates are tried.
struct Reading<'a> {
    files: &'a [File],
    findings: Vec<Diagnostic>,
    signatures: BTreeMap<String, Signature>,
    variables: Vec<(String, String)>,
    environment: Environment<'static>,
    computes_links: bool,
}

pub(crate) fn configure(files: &[File], assets: &[Asset]) -> Result<(Templates, Summary), Vec<Diagnostic>> {
    let assets: BTreeSet<String> = assets.iter().map(|asset| asset.name.clone()).collect();
    let mut reading = Reading {
        files,
        findings: Vec::new(),
        signatures: BTreeMap::new(),
        variables: Vec::new(),
        environment: environment::new(assets.clone()),
        computes_links: false,
    };
    reading.read_files(&assets);
    reading.read_settings();
    for signature in reading.signatures.values_mut() {
        signature.variables.extend(reading.variables.iter().cloned());
    }
    if reading.signatures.is_empty() {
        reading.error("", 0, "", "there is no signature: add a template, for example `full.html`");
    }
    if !settings::refused(&reading.findings) {
        reading.try_all();
    }
    if settings::refused(&reading.findings) {
        return Err(reading.findings);
    }
    let attributes = reading.attributes();
    let Reading { findings, signatures, environment, computes_links, .. } = reading;
    let summary = Summary { signatures: signatures.keys().cloned().collect(), warnings: findings };
    Ok((Templates { environment, signatures, attributes, computes_links }, summary))
}

impl Reading<'_> {
    fn error(&mut self, file: &str, line: u32, key: &str, message: impl Into<String>) {
        self.findings.push(diagnostic(Severity::Error, file, line, key, message));
    }

    fn read_files(&mut self, assets: &BTreeSet<String>) {
        for file in self.files {
            let Some((stem, kind)) = file.name.rsplit_once('.').filter(|(_, kind)| ["html", "txt"].contains(kind)) else {
                if file.name != SETTINGS {
                    let message = format!("is not read: templates end in `.html` or `.txt`, and settings are in `{SETTINGS}`");
                    self.findings.push(diagnostic(Severity::Warning, &file.name, 0, "", message));
                }
                continue;
            };
            self.read_template(file, kind == "html", assets);
            if !stem.starts_with('_') && !stem.contains('/') {
                self.file_signature(file, stem, kind == "html");
            }
        }
    }

    fn read_template(&mut self, file: &File, html: bool, assets: &BTreeSet<String>) {
        let mut source = file.content.clone();
        if html {
            let prepared = markup::prepare(&file.content);
            for problem in prepared.problems {
                self.error(&file.name, line(&file.content, problem.offset), &problem.key, problem.message);
            }
            self.computes_links |= prepared.computes_links;
            source = prepared.source;
        }
        for (offset, image) in named_images(&file.content).filter(|(_, image)| !assets.contains(*image)) {
            let known = assets.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let message = format!("there is no image {image:?}; the assets are: {known}");
            self.error(&file.name, line(&file.content, offset), "image", message);
        }
        if let Err(error) = self.environment.add_template_owned(file.name.clone(), source) {
            self.engine_error(Severity::Error, &file.name, &error);
        }
    }

    /// `full.de` is the signature `full` in German.
    fn file_signature(&mut self, file: &File, stem: &str, html: bool) {
        let (id, locale) = stem.split_once('.').unwrap_or((stem, ""));
        let of_tag = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
        if !is_id(id) || !locale.bytes().all(of_tag) {
            let message = "is not named ID.html or ID.LOCALE.html, ID being letters, digits, `-` and `_`; for example `full.de.html`";
            return self.error(&file.name, 0, "", message);
        }
        let signature = self.signatures.entry(id.to_owned()).or_default();
        let forms = if html { &mut signature.html } else { &mut signature.text };
        forms.insert(locale.to_ascii_lowercase(), file.name.clone());
    }

    fn read_settings(&mut self) {
        let Some(file) = self.files.iter().find(|file| file.name == SETTINGS) else { return };
        let mut findings = Vec::new();
        let (files, signatures) = (self.files, &mut self.signatures);
        let variables = settings::read(file, &mut findings, |root| {
            if let Some(named) = root.table("signature", "[signature.full]") {
                for (id, table) in named.entries("[signature.full]") {
                    read_signature(id, &table, files, signatures);
                }
            }
            read_variables(root)
        });
        self.variables = variables.unwrap_or_default();
        self.findings.append(&mut findings);
    }

    /// Renders everything for a person without attributes and for one with all of them. It finds what only running finds, and leaves
    /// the engine's caches warm for the snapshot.
    fn try_all(&mut self) {
        let files = self.signatures.values().flat_map(|signature| {
            let files = signature.html.values().chain(signature.text.values());
            files.map(|file| (file.clone(), signature.variables.clone()))
        });
        for (file, variables) in files.collect::<Vec<_>>() {
            let nobody = Person { address: Address { local: "a".into(), domain: "a.example".into() }, attributes: vec![], groups: vec![] };
            let epoch = Moment { unix_milliseconds: 0, offset_minutes: 0, zone: "UTC".into() };
            let context = || Context::new(&nobody, "", &epoch, &variables);
            for (context, everything) in [(context(), false), (context().trial(), true)] {
                let rendered = self.environment.get_template(&file).and_then(|template| template.render(context.into_value()));
                let Err(error) = rendered else { continue };
                let severity = if everything && may_be_the_sample(&error) { Severity::Warning } else { Severity::Error };
                if !(everything && error.detail().is_some_and(|detail| detail.starts_with(environment::NO_IMAGE))) {
                    self.engine_error(severity, &file, &error);
                }
                break;
            }
        }
    }

    fn engine_error(&mut self, severity: Severity, file: &str, error: &Error) {
        let file = error.name().unwrap_or(file).to_owned();
        let line = error.line().and_then(|line| u32::try_from(line).ok()).unwrap_or(0);
        let message = match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        };
        let finding = diagnostic(severity, &file, line, "", message);
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// The attributes that templates name; none when one of them may ask for any by a computed name.
    fn attributes(&self) -> Vec<String> {
        let mut names = BTreeSet::new();
        for (_, template) in self.environment.templates() {
            names.extend(template.undeclared_variables(false));
        }
        if names.contains("person") {
            return Vec::new();
        }
        let functions: BTreeSet<&str> = self.environment.globals().map(|(name, _)| name).collect();
        names.retain(|name| !RESERVED.contains(&name.as_str()) && !functions.contains(name.as_str()));
        names.into_iter().collect()
    }
}

fn read_signature(id: &str, table: &Table<'_>, files: &[File], signatures: &mut BTreeMap<String, Signature>) {
    if !is_id(id) {
        table.error("", "is not an id: letters, digits, `-` and `_`; for example `[signature.full]`");
    }
    let signature = signatures.entry(id.to_owned()).or_default();
    for (key, example, forms) in
        [("html", r#"html = "full.html""#, &mut signature.html), ("text", r#"text = "full.txt""#, &mut signature.text)]
    {
        let Some(name) = table.text(key, example) else { continue };
        let ending = if key == "html" { ".html" } else { ".txt" };
        if !name.ends_with(ending) || !files.iter().any(|file| file.name == name) {
            table.error(key, format!("there is no template {name:?} that ends in `{ending}`; for example `{example}`"));
        }
        forms.insert(String::new(), name.to_owned());
    }
    signature.variables = read_variables(table);
    if signature.html.is_empty() && signature.text.is_empty() {
        table.error("", r#"has no template; for example `html = "full.html"`"#);
    }
}

fn read_variables(table: &Table<'_>) -> Vec<(String, String)> {
    table
        .table("variables", r#"variables.companyName = "Northwind Harbour""#)
        .map_or_else(Vec::new, |variables| variables.strings(r#"companyName = "Northwind Harbour""#))
}

/// Whether a run with every attribute set may have failed only because the invented values are no numbers or lists.
fn may_be_the_sample(error: &Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::UnknownFilter | ErrorKind::UnknownFunction | ErrorKind::UnknownTest | ErrorKind::TemplateNotFound | ErrorKind::OutOfFuel
    )
}

/// The images that a template names in so many words: `image("logo.png")`.
fn named_images(template: &str) -> impl Iterator<Item = (usize, &str)> {
    template.match_indices("image(").filter_map(|(at, call)| {
        let argument = template[at + call.len()..].trim_start();
        let quote = argument.chars().next().filter(|char| matches!(char, '"' | '\''))?;
        argument[1..].split_once(quote).map(|(name, _)| (at, name))
    })
}

fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
}

fn line(text: &str, offset: usize) -> u32 {
    let lines = text.as_bytes().iter().take(offset).filter(|octet| **octet == b'\n').count();
    u32::try_from(lines).map_or(u32::MAX, |lines| lines.saturating_add(1))
}
