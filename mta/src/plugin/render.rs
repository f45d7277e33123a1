//! Renderer plugins: a signature id and a person in, a checked fragment out.
//!
//! Sizes and image names that are wrong make the answer unusable. Control characters are removed and line ends become LF, because one
//! stray octet in a directory attribute must not cost a signature, and must not reach a message. It does not judge the HTML: `mime` does.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime::Store;
use wasmtime::component::{HasSelf, Instance, Linker};

use super::admission::RENDERER;
use super::bindings::render::exports::signet::render::renderer as guest;
use super::bindings::render::{RendererPlugin, RendererPluginPre};
use super::call::{Plugin, classify};
use super::describe::{describe, diagnostics, ids};
use super::engine::Engine;
use super::fault::{Description, Diagnostic, Fault, File, LoadError, PluginError};
use super::host::Host;
use super::limits::{HTML, ID, IMAGES, Limits, TEXT};
use super::snapshot::prepare;
use super::text;
use crate::signature::{Asset, Format, Fragment, Moment, PERSON_PHOTO, Person};

/// A configured renderer. Calls may run at the same time; each has its own instance.
pub struct Renderer {
    plugin: Plugin<RendererPluginPre<Host>>,
    description: Description,
    summary: RendererSummary,
    assets: Vec<Arc<Asset>>,
}

/// What `configure` accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RendererSummary {
    /// Ids of the signatures it can render.
    pub signatures: Vec<String>,
    /// Findings that do not prevent use.
    pub warnings: Vec<Diagnostic>,
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renderer").field("description", &self.description).field("summary", &self.summary).finish_non_exhaustive()
    }
}

impl Renderer {
    /// Admits, compiles and configures a renderer. Takes about a second: not on the mail path.
    pub fn load(engine: &Engine, wasm: &[u8], files: &[File], assets: Vec<Arc<Asset>>, limits: &Limits) -> Result<Self, LoadError> {
        if let Some(asset) = assets.iter().find(|asset| !is_asset_name(&asset.name) || asset.name == PERSON_PHOTO) {
            return Err(LoadError::Asset(text::line(asset.name.clone(), ID)));
        }
        let prepared = prepare(engine, wasm, (RENDERER, link), limits, |store, instance| configure(store, instance, files, &assets))?;
        let (summary, description) = prepared.answer;
        let pre = RendererPluginPre::new(prepared.pre).map_err(|error| LoadError::Interface(format!("{error:#}")))?;
        let plugin = Plugin::new(engine, pre, limits, prepared.memory, &description.name);
        Ok(Self { plugin, description, summary, assets })
    }

    /// Who the plugin is and what it wants to be told.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// What `configure` accepted.
    pub fn summary(&self) -> &RendererSummary {
        &self.summary
    }

    /// The asset of that name; every name in a rendered fragment has one, but [`PERSON_PHOTO`], which the caller has.
    pub fn asset(&self, name: &str) -> Option<&Arc<Asset>> {
        self.assets.iter().find(|asset| asset.name == name)
    }

    /// Renders one signature for one person. `locale` is a BCP 47 tag or empty. Synchronous and processor-bound.
    pub fn render(&self, id: &str, person: &Person, locale: &str, now: &Moment, format: Format) -> Result<Fragment, Fault> {
        self.plugin.call(self.plugin.limits.render_deadline, None, |store, pre| {
            let instance = pre.instantiate(&mut *store).map_err(|error| classify(&error))?;
            let renderer = instance.signet_render_renderer();
            let answer = renderer.call_render(&mut *store, id, &person.into(), locale, &now.into(), &format.into());
            let fragment = answer.map_err(|error| classify(&error))?.map_err(PluginError::from)?;
            let photo = person.attributes.iter().any(|(name, value)| name == "photo" && value == PERSON_PHOTO);
            check(fragment, |name| self.asset(name).is_some() || (photo && name == PERSON_PHOTO)).map_err(Fault::BadOutput)
        })
    }
}

fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    RendererPlugin::add_to_linker::<_, HasSelf<Host>>(linker, |host| host)
}

fn configure(
    store: &mut Store<Host>,
    instance: &Instance,
    files: &[File],
    assets: &[Arc<Asset>],
) -> Result<(RendererSummary, Description), LoadError> {
    let fault = |call: &'static str| move |error: wasmtime::Error| LoadError::Call { call, fault: classify(&error) };
    let plugin = RendererPlugin::new(&mut *store, instance).map_err(|error| LoadError::Interface(format!("{error:#}")))?;
    let files: Vec<_> = files.iter().map(Into::into).collect();
    // A picture of everybody's own: the plugin knows that there may be one, and the attribute `photo` says who has one.
    let photo = Asset { name: PERSON_PHOTO.to_owned(), media_type: "image/jpeg".to_owned(), content: Bytes::new() };
    let assets: Vec<_> = assets
        .iter()
        .map(AsRef::as_ref)
        .chain([&photo])
        .map(|asset| guest::Asset {
            name: asset.name.clone(),
            media_type: asset.media_type.clone(),
            size: u32::try_from(asset.content.len()).unwrap_or(u32::MAX),
        })
        .collect();
    let answer = plugin.signet_render_renderer().call_configure(&mut *store, &files, &assets).map_err(fault("configure"))?;
    let guest::Summary { signatures, warnings } = answer.map_err(|found| LoadError::Diagnostics(diagnostics(found)))?;
    let signatures = ids(signatures).map_err(|detail| LoadError::Answer { call: "configure", detail })?;
    let summary = RendererSummary { signatures, warnings: diagnostics(warnings) };
    let answer = plugin.signet_plugin_describe().call_describe(&mut *store).map_err(fault("describe"))?;
    Ok((summary, describe(answer.into())?))
}

/// Letters, digits, `.`, `-` and `_` (`wit/render`): a name that needs no escaping in an HTML attribute or a Content-ID.
fn is_asset_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= ID && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// Turns the guest's answer into a fragment, or says what is wrong with it.
fn check(fragment: guest::Fragment, known: impl Fn(&str) -> bool) -> Result<Fragment, String> {
    let guest::Fragment { html, text, images } = fragment;
    if html.is_none() && text.is_none() {
        return Err("the fragment has neither HTML nor text".to_owned());
    }
    for (form, content, max) in [("HTML", &html, HTML), ("text", &text, TEXT)] {
        let size = content.as_ref().map_or(0, String::len);
        if size > max {
            return Err(format!("the {form} is {size} octets long; at most {max} are allowed"));
        }
    }
    if images.len() > IMAGES {
        return Err(format!("the fragment has {} images; at most {IMAGES} are allowed", images.len()));
    }
    let mut seen = HashSet::new();
    for name in &images {
        if !known(name) {
            return Err(format!("the image `{}` is not one of the assets", text::line(name.clone(), ID)));
        }
        if !seen.insert(name) {
            return Err(format!("the image `{name}` is named twice"));
        }
    }
    Ok(Fragment { html: html.map(text::block), text: text.map(text::block), images })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(html: Option<String>, text: Option<String>, images: &[&str]) -> Result<Fragment, String> {
        let images = images.iter().map(|name| (*name).to_owned()).collect();
        check(guest::Fragment { html, text, images }, |name| name.starts_with("logo"))
    }

    #[test]
    fn fragments_have_content_of_bounded_size_and_known_images() {
        let some = |size: usize| Some("x".repeat(size));
        for (html, text, images, expected) in [
            (some(HTML), some(TEXT), &["logo.png"][..], None),
            (None, some(1), &[], None),
            (None, None, &[], Some("the fragment has neither HTML nor text")),
            (some(HTML + 1), None, &[], Some("the HTML is 262145 octets long; at most 262144 are allowed")),
            (None, some(TEXT + 1), &[], Some("the text is 65537 octets long; at most 65536 are allowed")),
            (some(1), None, &["logo"; IMAGES + 1], Some("the fragment has 17 images; at most 16 are allowed")),
            (some(1), None, &["logo", "logo"], Some("the image `logo` is named twice")),
            (some(1), None, &["../x\n"], Some("the image `../x ` is not one of the assets")),
        ] {
            assert_eq!(fragment(html, text, images).err().as_deref(), expected);
        }
    }

    #[test]
    fn control_characters_do_not_reach_a_message() {
        let found = fragment(Some("<b>A\0da</b>\r\n".to_owned()), Some("Ada\rKing\u{8}".to_owned()), &[]).expect("it is cleaned");
        assert_eq!((found.html.as_deref(), found.text.as_deref()), (Some("<b>Ada</b>\n"), Some("Ada\nKing")));
    }

    #[test]
    fn asset_names_need_no_escaping() {
        for (name, expected) in [("logo-1_a.png", true), ("", false), ("a b", false), ("a\"b", false), ("ü", false), ("a/b", false)] {
            assert_eq!(is_asset_name(name), expected, "{name:?}");
        }
    }
}
