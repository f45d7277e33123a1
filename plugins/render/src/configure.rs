//! Reading the templates, and finding what is wrong with them before a message meets them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use minijinja::{Environment, Error, ErrorKind};
use signet_plugin_sdk::render::{Asset, Summary};
use signet_plugin_sdk::{Address, Diagnostic, File, Moment, Person, Severity, diagnostic, settings::refused};

use crate::context::{Context, RESERVED, Shared};
use crate::environment::{Images, Literals};
use crate::layers::{Layers, Values};
use crate::markup::{self, Problem};
use crate::settings::{self, Budget};
use crate::{Signature, Templates, card, clean, environment, filters, lints, locale, phone};

/// Everything that is read before the templates are tried.
struct Reading<'a> {
    files: &'a [File],
    findings: Vec<Diagnostic>,
    signatures: BTreeMap<String, Signature>,
    environment: Environment<'static>,
    /// The texts in quotes of what stays of the files.
    literals: BTreeSet<String>,
    /// The HTML templates by name, as the engine will get them but for `data-if`.
    cleaned: Vec<(String, String)>,
    computes_values: bool,
}

pub(crate) fn configure(files: &[File], assets: &[Asset]) -> Result<(Templates, Summary), Vec<Diagnostic>> {
    let sizes: BTreeMap<&str, usize> =
        assets.iter().map(|asset| (asset.name.as_str(), usize::try_from(asset.size).unwrap_or(usize::MAX))).collect();
    let names: BTreeSet<String> = assets.iter().map(|asset| asset.name.clone()).collect();
    let literals = Literals::default();
    let environment = environment::new(names.clone(), Arc::clone(&literals));
    let mut reading = Reading {
        files,
        findings: Vec::new(),
        signatures: BTreeMap::new(),
        environment,
        literals: BTreeSet::new(),
        cleaned: Vec::new(),
        computes_values: false,
    };
    reading.warm_up(None);
    reading.read_files(&names);
    literals.get_or_init(|| std::mem::take(&mut reading.literals));
    let settings = settings::read(files, &mut reading.signatures, &mut reading.findings);
    reading.lint(&settings.layers);
    filters::add(&mut reading.environment, settings.domains);
    if reading.signatures.is_empty() {
        reading.error("", 0, "", "there is no signature: add a template, for example `full.html`");
    }
    let signatures = std::mem::take(&mut reading.signatures);
    let shared: &'static _ = Box::leak(Box::new(Shared { layers: settings.layers, assets: names, signatures }));
    if !refused(&reading.findings) {
        reading.try_all(shared, settings.budget, &sizes);
    }
    if refused(&reading.findings) {
        return Err(reading.findings);
    }
    reading.warm_up(shared.layers.tenant.iter().find(|(name, _)| name == filters::REGIONS[0]).map(|(_, country)| country.as_str()));
    let attributes = reading.attributes();
    let Reading { findings, environment, computes_values, .. } = reading;
    let summary = Summary { signatures: shared.signatures.keys().cloned().collect(), warnings: findings };
    Ok((Templates { environment, shared, attributes, computes_values }, summary))
}

impl Reading<'_> {
    fn error(&mut self, file: &str, line: u32, key: &str, message: impl Into<String>) {
        self.findings.push(diagnostic(Severity::Error, file, line, key, message));
    }

    fn read_files(&mut self, assets: &BTreeSet<String>) {
        for file in self.files {
            let Some((stem, kind)) = file.name.rsplit_once('.').filter(|(_, kind)| ["html", "txt"].contains(kind)) else {
                self.literals.extend(lints::literals(&file.content));
                if file.name != settings::FILE {
                    let message = format!("is not read: templates end in `.html` or `.txt`, and settings are in `{}`", settings::FILE);
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
            let cleaned = clean::clean(&source);
            self.report(Severity::Error, &file.name, &source, cleaned.errors);
            self.report(Severity::Warning, &file.name, &source, cleaned.warnings);
            let prepared = markup::prepare(&cleaned.source);
            self.report(Severity::Error, &file.name, &cleaned.source, prepared.problems);
            self.computes_values |= prepared.computes_values;
            source = prepared.source;
            self.cleaned.push((file.name.clone(), cleaned.source));
        }
        self.literals.extend(lints::literals(&source));
        for (offset, image) in named_images(&source).filter(|(_, image)| !assets.contains(*image) && !image.starts_with("https://")) {
            let known = assets.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "none".to_owned() } else { known };
            let message = format!("there is no image {image:?}; the assets are: {known}");
            self.error(&file.name, line(&source, offset), "image", message);
        }
        if let Err(error) = self.environment.add_template(file.name.clone().leak(), source.leak()) {
            self.engine_error(Severity::Error, &file.name, &error);
        }
    }

    fn lint(&mut self, layers: &Layers) {
        let named = |values: &Values, name: &str| values.iter().any(|(known, value)| known == name && !value.is_empty());
        for (file, source) in std::mem::take(&mut self.cleaned) {
            let of_signature = |name: &str| self.signatures.values().any(|signature| named(&signature.values, name));
            let found = lints::find(&source, &|name| named(&layers.tenant, name) || of_signature(name));
            self.report(Severity::Warning, &file, &source, found);
        }
    }

    fn report(&mut self, severity: Severity, file: &str, text: &str, problems: Vec<Problem>) {
        for Problem { offset, key, message } in problems {
            self.findings.push(diagnostic(severity.clone(), file, line(text, offset), &key, message));
        }
    }

    /// `full.de` is the signature `full` in German.
    fn file_signature(&mut self, file: &File, stem: &str, html: bool) {
        let (id, tag) = stem.split_once('.').unwrap_or((stem, ""));
        if !settings::is_id(id) || !(tag.is_empty() || locale::is_tag(tag)) {
            let message = "is not named ID.html or ID.LOCALE.html, ID being letters, digits, `-` and `_`; for example `full.de.html`";
            return self.error(&file.name, 0, "", message);
        }
        let signature = self.signatures.entry(id.to_owned()).or_default();
        let forms = if html { &mut signature.html } else { &mut signature.text };
        forms.insert(tag.to_ascii_lowercase(), file.name.clone());
    }

    /// Renders everything for a person without attributes and for one with all of them. It finds what only running finds, and leaves
    /// the engine's caches warm for the snapshot.
    fn try_all(&mut self, shared: &'static Shared, budget: Budget, sizes: &BTreeMap<&str, usize>) {
        let files = shared.signatures.values().flat_map(|signature| {
            let files = signature.html.iter().chain(&signature.text);
            files.map(|(tag, file)| (file, tag, &signature.values))
        });
        for (file, tag, values) in files {
            for everything in [false, true] {
                match self.try_one(file, trial(shared, tag, values, everything)) {
                    Ok((html, images)) if everything => {
                        let weight = images.iter().filter_map(|image| sizes.get(image.as_str())).sum();
                        self.weigh(file, budget, html, weight);
                    }
                    Ok(_) => (),
                    Err(error) => {
                        let severity = if everything && may_be_the_sample(&error) { Severity::Warning } else { Severity::Error };
                        self.engine_error(severity, file, &error);
                        break;
                    }
                }
            }
        }
    }

    /// The octets of HTML and the images of one run.
    fn try_one(&self, file: &str, context: Context) -> Result<(usize, Vec<String>), Error> {
        let mut captured = self.environment.get_template(file)?.render_captured(context.into_value())?;
        let images = captured.with_state_mut(|state| state.get_extension_mut::<Images>().map(std::mem::take)).unwrap_or_default();
        let html = if file.ends_with(".html") { captured.into_output().len() } else { 0 };
        Ok((html, images.0))
    }

    fn weigh(&mut self, file: &str, budget: Budget, html: usize, images: usize) {
        for (key, what, octets, budget) in [("budget.html", "HTML", html, budget.html), ("budget.images", "images", images, budget.images)]
        {
            if octets > budget {
                let message = format!(
                    "this signature has {octets} octets of {what}, and the budget is {budget}; make it lighter, or write `{key} = \"{} KiB\"` \
                     in {}",
                    octets.div_ceil(1 << 10),
                    settings::FILE
                );
                self.findings.push(diagnostic(Severity::Warning, file, 0, key, message));
            }
        }
    }

    /// Loads numbering plans for the snapshot when a template asks for them. Every call writes a little beside each of their patterns: so
    /// most of it is done before the templates are read, whose temporary data would leave gaps for them to be scattered over.
    fn warm_up(&self, country: Option<&str>) {
        if self.uses_filter("phone") || self.uses_filter("tel") || self.files.iter().any(|file| file.content.contains("vcard(")) {
            phone::warm_up(country.and_then(phone::region));
        }
    }

    fn uses_filter(&self, name: &str) -> bool {
        let uses = |code: &str| code.trim_start().starts_with(name);
        self.files.iter().any(|file| file.content.split('|').skip(1).any(uses))
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
            names.extend(template.undeclared_variables(true));
        }
        if names.contains("person") {
            return Vec::new();
        }
        if names.contains("vcard") {
            names.extend(card::ATTRIBUTES.map(str::to_owned));
        }
        if names.contains("vcard") || self.uses_filter("phone") || self.uses_filter("tel") {
            names.extend(filters::REGIONS.map(str::to_owned));
        }
        let functions: BTreeSet<&str> = self.environment.globals().map(|(name, _)| name).collect();
        let names = names.iter().map(|name| name.strip_prefix("person.").unwrap_or(name));
        let of_person = |name: &&str| {
            let root = name.split('.').next().unwrap_or_default();
            !RESERVED.contains(&root) && !functions.contains(root)
        };
        names.filter(of_person).map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// Nobody, or somebody of whom everything is known.
fn trial(shared: &'static Shared, tag: &str, values: &'static Values, everything: bool) -> Context {
    let nobody = Person { address: Address { local: "a".into(), domain: "a.example".into() }, attributes: vec![], groups: vec![] };
    let epoch = Moment { unix_milliseconds: 0, offset_minutes: 0, zone: "UTC".into() };
    Context::new(&nobody, tag, &epoch, shared, values).trial(everything)
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

fn line(text: &str, offset: usize) -> u32 {
    let lines = text.as_bytes().iter().take(offset).filter(|octet| **octet == b'\n').count();
    u32::try_from(lines).map_or(u32::MAX, |lines| lines.saturating_add(1))
}
