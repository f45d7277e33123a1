//! The default renderer: signatures from HTML and text templates in Jinja syntax.
//!
//! # Files
//!
//! | file | is |
//! |---|---|
//! | `full.html`, `full.txt` | the signature `full`; one of the two is enough, the other form is derived from it |
//! | `full.de.html` | the same for the locale `de` and its regions (`full.de-AT.html` would be nearer for `de-AT`) |
//! | `_contact.html` | no signature of its own: for `{% include "_contact.html" %}`; so is every file in a folder below |
//! | `signatures.toml` | optional: variables, and signatures whose files have other names |
//!
//! ```toml
//! [variables]                      # for every template
//! companyName = "Northwind Harbour"
//! region = "DE"                    # where a telephone number without a country code is taken to be from
//!
//! [group."sales".variables]        # for members of the group with that id; the first group in this file that has the value counts
//! slogan = "Berths for every draught"
//!
//! [locale.de.variables]            # where the tenant, the person or the message says German (`locale_from`); `de-AT` is nearer
//! companyName = "Nordwind Hafen"
//!
//! [signature.campaign]             # the signature `campaign` from a template that others use as well
//! html = "banner.html"             # and `text = "banner.txt"`
//! variables.image = "spring.png"
//!
//! [links]
//! domains = ["northwind.example"]  # whose links `campaign()` may change, their subdomains included
//!
//! [budget]                         # what one signature may weigh without a warning; B, KiB or MiB
//! html = "24 KiB"                  # the default: Gmail clips a message at 102 KB
//! images = "100 KiB"               # the default
//! ```
//!
//! # What a template sees
//!
//! Every attribute of the person under its own name, for example `{{ displayName }}` or `{{ extensionAttribute7 }}`; names that are not
//! identifiers as `{{ person["cost-center"] }}`. The manager's are `{{ manager.displayName }}` and so on, and likewise those of anybody
//! whose attributes come as `NAME.ATTRIBUTE`. Which value counts when several have the name: person, signature, group, locale, tenant.
//! Besides: `email`, `groups`, `locale`, `now` with `.year`, `.month`, `.day`, `.date`, `direction` (`ltr` or `rtl`, by the locale) and
//! its sides `start` and `end` (`left` or `right`). `photo` is there only when it names an asset or an `https` address. What is absent
//! is empty, never an error. Values are text: HTML in them is escaped in HTML templates, template syntax in them is not evaluated, line
//! breaks become commas, a link may only lead to `http`, `https`, `mailto`, `tel` or `sms`, and a style may fetch nothing.
//!
//! # Empty fields
//!
//! - **HTML**: an element with `data-if` is left out, with its label and everything else inside, unless what it names is there:
//!   `<tr data-if="mobilePhone"><td>Mobile</td><td>{{ mobilePhone }}</td></tr>`. Any condition goes: `data-if="city or country"`. An
//!   image whose address turns out empty is left out by itself.
//! - **Text**: a line is left out when it prints something and all that it prints is empty: `Mobile  {{ mobilePhone }}`.
//! - **Both**: `{{ joined(" · ", city, postalCode, country) }}` puts the separator only between values that are there.
//!
//! # Functions and filters
//!
//! | | |
//! |---|---|
//! | `image("logo.png")`, `image(photo)` | the address of an image that the host attaches, or of one at an `https` address |
//! | `joined(separator, value, ...)` | the values that are there |
//! | `value \| phone`, `phone("national")`, `phone("e164")` | a number as its country writes it, by default with the country code. A number without one is of `region`, `usageLocation` or `country`, or of `phone(region="DE")`. What is no number stays as it was written |
//! | `value \| tel` | what is dialled, for `href="tel:{{ mobilePhone \| tel }}"` |
//! | `value \| date("long")` | a date as the language writes it: `short`, `medium`, `long`, `full`; of `now` or of `YYYY-MM-DD`. Another language: `date("long", "de")` |
//! | `upper`, `lower`, `title`, `sentence` | letter case by the language of the message, or by another: `upper("tr")` |
//! | `value \| ltr` | a number or an address that stays in one piece in text from right to left |
//! | `vcard()`, `vcard("4.0", address=false)` | the person's card, for `qr(vcard())`; 3.0 unless told |
//! | `qr(text, module=3)` | a QR code as a table, one module 2 to 6 pixels wide; nothing for more than 256 octets. A code for an address has about 15 KiB of HTML, one for a card more than the budget |
//! | `campaign(url, source="email", medium="signature", campaign="spring")` | the link with `utm_` parameters (also `term`, `content`); links that lead elsewhere are refused, or left alone when a value leads there |
//! | `" &middot; " \| safe` | HTML of the template's own. Only text in quotes: a value stays text |
//! | `urlencode`, `default("...")` and the rest of Jinja's | |
//!
//! # Light, dark and narrow
//!
//! Mail clients keep inline styles only, so no media query can tell light from dark, and `color-scheme` counts in a document's head
//! only. What works in both: names without a colour, which follow the message; mid-tones for the rest (`#6f7a83` and `#1f829a` have
//! about the same contrast, near 4, on white and on `#1f1f1f`); pictures and coloured areas on a plate of their own. For Outlook's Word
//! engine: tables, widths in attributes, and `mso-line-height-rule:exactly` beside every `line-height`. 320 pixels fit every phone.
//!
//! # Templates from elsewhere
//!
//! Another service, a word processor or a builder exports a document with a style sheet; it can be used as it is. Everything below is told
//! as a warning, with file and line, when the templates are read, and nothing is changed in the files.
//!
//! - **Style sheets are inlined.** The declarations of a `<style>` element are written into the `style` attributes of the elements that
//!   its rules mean, in front of what is there, and the element goes. A selector may have types, `.classes`, `#ids` and `*`, also
//!   together (`td.name`), in lists, below each other (`table td`) and right below (`tr > td`, which is taken from the tags as they are
//!   written: no `tbody` is made up). The more specific rule wins, then the later one, then the element's own style. `!important` wins
//!   over that as well: such a declaration goes last, without the word.
//! - **Rules count for their own file**, and for all of it: not for what it includes, not under a condition. Conditions between tags are
//!   looked through. A class or an id that is computed, or that a condition may leave out, is no match; its style is
//!   `style="color: {{ colour }}"`. There is no template code in a style sheet.
//! - **Classes that the rules name are removed**, because the style sheet of another mail would meet them. Other classes stay.
//! - **What cannot be an inline style is left out**: `@media`, `@import`, `@font-face` and the rest, media other than `screen`, states and
//!   parts (`a:hover`, `::before`), attributes (`[href]`), neighbours (`h1 + p`). So are declarations that fetch, run or hide something
//!   (`url()`, `expression()`, `behavior`, `\`) or leave the signature (`position: fixed`, `absolute`, `sticky`), also in a `style` attribute.
//! - **What mail clients remove is left out**: `DOCTYPE`, `html`, `head` and `body` (their content stays; a `body` with a style, a `lang` or a
//!   `dir` becomes a `div`), `meta`, `link`, `base`, `title`, `script`, `noscript`, `svg`, `math`, frames, objects, event handlers, links to
//!   `javascript:`, and comments other than Outlook's conditions and those with template code. Of a form, `input`, `select` and `textarea`
//!   go; what else is in it stays.
//! - **Never left out is what computes something**: template code in such a part is an error, and so is a part without an end.
//!
//! # Limits
//!
//! A template has no clock, no files and no network, and a bounded amount of work and output. What would let a value choose an element,
//! an attribute or where a link leads is refused when the templates are read, and so are unknown images and filters: with file and line.
//! So are `autoescape` and `raw`, and tags and comments without an end, which would take the rest of the message along. Warnings are given
//! for images without `alt`, `width` or `height` or fetched without encryption, links without text, and weight.
//!
//! This crate does not know which signature is chosen, and never sees the message.

mod campaign;
mod card;
mod clean;
mod configure;
mod context;
mod css;
mod dates;
mod environment;
mod filters;
mod inline;
mod layers;
mod letters;
mod lints;
mod locale;
mod markup;
mod phone;
mod plain;
mod selector;
mod settings;
mod square;
mod tag;

use std::collections::BTreeMap;

use minijinja::{Environment, Error};
use signet_plugin_sdk::render::{Asset, Fragment, Renderer, Summary};
use signet_plugin_sdk::{Description, Diagnostic, File, Format, Moment, Person, PluginError};

use crate::context::{Context, Shared};
use crate::environment::Images;
use crate::layers::Values;

/// Octets of HTML that a fragment may have, as in the interface.
const HTML_LIMIT: usize = 256 << 10;

/// Octets of text that a fragment may have, as in the interface.
const TEXT_LIMIT: usize = 64 << 10;

/// Images that a fragment may refer to, as in the interface.
const IMAGE_LIMIT: usize = 16;

/// The templates, parsed and tried.
///
/// Their texts and what they share are never freed, so that a call borrows them and counts no references. To count is to write beside what
/// is counted, and the host would put back one page more after every call for each template in use.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    shared: &'static Shared,
    /// Which attributes the templates name; empty when one of them may ask for any.
    attributes: Vec<String>,
    /// Whether a template computes an address or a style, so that the result must be looked at.
    computes_values: bool,
}

/// One signature: its own values, and its template files by locale; the empty locale is everybody's.
#[derive(Debug, Default)]
pub(crate) struct Signature {
    pub(crate) html: BTreeMap<String, String>,
    pub(crate) text: BTreeMap<String, String>,
    pub(crate) values: Values,
}

impl Renderer for Templates {
    fn configure(files: &[File], assets: &[Asset]) -> Result<(Self, Summary), Vec<Diagnostic>> {
        configure::configure(files, assets)
    }

    fn describe(&self) -> Description {
        let mut description = Description::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        description.attributes.clone_from(&self.attributes);
        description
    }

    fn render(&self, id: &str, person: &Person, locale: &str, now: &Moment, format: &Format) -> Result<Fragment, PluginError> {
        let known = || self.shared.signatures.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let signature = self
            .shared
            .signatures
            .get(id)
            .ok_or_else(|| PluginError::InvalidConfig(format!("no template for signature {id:?}; there are {}", known())))?;
        let context = || Context::new(person, locale, now, self.shared, &signature.values);
        let fragment = self.fragment(signature, locale, &context, format)?;
        within_limits(id, fragment)
    }
}

impl Templates {
    /// Renders the forms that `format` asks for.
    fn fragment(
        &self,
        signature: &Signature,
        locale: &str,
        context: &dyn Fn() -> Context,
        format: &Format,
    ) -> Result<Fragment, PluginError> {
        let (html, text) = (for_locale(&signature.html, locale), for_locale(&signature.text, locale));
        let wants_html = !matches!(format, Format::Plain);
        let wants_text = !matches!(format, Format::Html);
        let mut fragment = Fragment { html: None, text: None, images: Vec::new() };
        if let Some(file) = html.filter(|_| wants_html || text.is_none()) {
            let (html, images) = self.html(file, context())?;
            if wants_text && text.is_none() {
                fragment.text = Some(plain::from_html(&html));
            }
            if wants_html {
                (fragment.html, fragment.images) = (Some(html), images);
            }
        }
        if let Some(file) = text.filter(|_| wants_text || html.is_none()) {
            let text = self.text(file, context())?;
            if wants_html && html.is_none() {
                fragment.html = Some(plain::to_html(&text));
            }
            if wants_text {
                fragment.text = Some(text);
            }
        }
        Ok(fragment)
    }

    fn html(&self, file: &str, context: Context) -> Result<(String, Vec<String>), PluginError> {
        let captured = self.environment.get_template(file).and_then(|template| template.render_captured(context.into_value()));
        let mut captured = captured.map_err(|error| failed(&error))?;
        let images = captured.with_state_mut(|state| state.get_extension_mut::<Images>().map(std::mem::take)).unwrap_or_default();
        // The engine escapes more than HTML asks for, and links with `/` spelt out look like an attempt to hide something.
        let html = without_blank_lines(&captured.into_output()).replace("&#x2f;", "/");
        let html = if self.computes_values { markup::without_harm(html) } else { html };
        Ok((html, images.0))
    }

    fn text(&self, file: &str, context: Context) -> Result<String, PluginError> {
        let rendered = self.environment.get_template(file).and_then(|template| template.render(context.into_value()));
        Ok(plain::without_empty_lines(&rendered.map_err(|error| failed(&error))?))
    }
}

/// Lines that hold nothing, most of them where a condition was not met, mean nothing in HTML.
fn without_blank_lines(html: &str) -> String {
    let mut kept = String::with_capacity(html.len());
    for line in html.lines().filter(|line| !line.trim().is_empty()) {
        if !kept.is_empty() {
            kept.push('\n');
        }
        kept.push_str(line);
    }
    kept
}

/// The file for a BCP 47 tag: the tag's own, else that of its language, else everybody's.
fn for_locale<'f>(files: &'f BTreeMap<String, String>, tag: &str) -> Option<&'f str> {
    locale::chain(tag).find_map(|tag| files.get(&tag)).map(String::as_str)
}

fn failed(error: &Error) -> PluginError {
    PluginError::InvalidConfig(environment::in_words(error))
}

fn within_limits(id: &str, fragment: Fragment) -> Result<Fragment, PluginError> {
    let html = fragment.html.as_ref().map_or(0, String::len);
    let text = fragment.text.as_ref().map_or(0, String::len);
    let images = fragment.images.len();
    for (what, size, limit) in [("octets of HTML", html, HTML_LIMIT), ("octets of text", text, TEXT_LIMIT), ("images", images, IMAGE_LIMIT)]
    {
        if size > limit {
            return Err(PluginError::InvalidConfig(format!("signature {id:?} has {size} {what}, and may have {limit}")));
        }
    }
    Ok(fragment)
}

signet_plugin_sdk::renderer!(Templates);

#[cfg(test)]
mod harmless;
#[cfg(test)]
mod tests;
