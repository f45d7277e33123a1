//! `signet signatures preview`: one signature as a person would see it, in light and dark, on a desktop and on a phone, on one page that needs
//! nothing beside itself and can be photographed by any browser.

use std::fmt::Write as _;

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;

use crate::signature::Placed;

/// Widths of the two screens, in CSS pixels: a reading pane, and the narrowest phone that is still sold.
const WIDTHS: [(&str, u32); 2] = [("desktop", 760), ("phone", 360)];
/// Colours of a mail client's page and text.
const SCHEMES: [(&str, &str, &str); 2] = [("light", "#ffffff", "#1f1f1f"), ("dark", "#1f1f1f", "#e8e8e8")];

/// The page. `who` names the person in the heading.
pub fn page(placed: &Placed, who: &str) -> String {
    let html = with_images(placed);
    let mut panes = String::new();
    for (scheme, background, colour) in SCHEMES {
        for (screen, width) in WIDTHS {
            let body = format!(
                "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"{scheme}\"></head>\
                 <body style=\"margin:16px;background:{background};color:{colour};font:14px/20px sans-serif\">\
                 <p>Hello,</p><p>this is what the author writes.</p>{html}</body></html>"
            );
            let (label, source) = (format!("{screen}, {scheme}"), escape(&body));
            // Writing to a String cannot fail.
            write!(panes, "<figure><figcaption>{label}</figcaption><iframe width=\"{width}\" height=\"420\" title=\"{label}\" sandbox srcdoc=\"{source}\"></iframe></figure>").ok();
        }
    }
    let text = placed.fragment.text.as_deref().map(escape).unwrap_or_default();
    let title = format!("{} for {}", escape(&placed.id), escape(who));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>\
         body{{margin:24px;background:#eef0f2;color:#22272b;font:14px/20px sans-serif}}figure{{display:inline-block;margin:0 16px 16px 0;vertical-align:top}}\
         figcaption{{margin-bottom:4px;color:#5b6770}}iframe{{border:1px solid #c8ced3;background:#fff}}pre{{background:#fff;border:1px solid #c8ced3;padding:16px;white-space:pre-wrap}}\
         </style></head><body><h1 style=\"font-size:20px\">{title}</h1>{panes}<h2 style=\"font-size:16px\">Plain text</h2><pre>{text}</pre></body></html>\n"
    )
}

/// The HTML with the images in it, as a mail client shows them from the message.
pub(crate) fn with_images(placed: &Placed) -> String {
    let mut html = placed.fragment.html.clone().unwrap_or_default();
    for asset in &placed.assets {
        let source = format!("data:{};base64,{}", asset.media_type, STANDARD.encode(&asset.content));
        for quote in ['"', '\''] {
            html = html.replace(&format!("{quote}cid:{}{quote}", asset.name), &format!("{quote}{source}{quote}"));
        }
    }
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
