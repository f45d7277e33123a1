//! QR codes (ISO/IEC 18004) as HTML tables, which are there where images are switched off.

use std::fmt::Write;

use qrcodegen::{QrCode, QrCodeEcc, QrSegment, Version};

/// Longest text, in octets. An address has about fifty and a short vCard two hundred; more makes a code that a camera has to hold still
/// for, and more HTML than the whole signature.
pub(crate) const LONGEST: usize = 256;

/// Width of one module in pixels, when the template names none.
pub(crate) const MODULE: u32 = 3;

/// Smallest and largest width of a module: a camera resolves no less, and a signature has no room for more.
pub(crate) const MODULES: std::ops::RangeInclusive<u32> = 2..=6;

/// White modules around the code; the standard asks for four.
const QUIET: u32 = 4;

/// The code as a table, or nothing when the text is empty or too long. Cells of the same colour are one cell, so that a code for an
/// address has some eight thousand octets. Colours are attributes, because Outlook's Word engine takes them in every cell.
pub(crate) fn table(text: &str, module: u32) -> Option<String> {
    if text.is_empty() || text.len() > LONGEST {
        return None;
    }
    let segments = QrSegment::make_segments(text);
    let code = QrCode::encode_segments_advanced(&segments, QrCodeEcc::Low, Version::MIN, Version::MAX, None, true).ok()?;
    let size = u32::try_from(code.size()).ok()?;
    let (width, quiet) = (size * module, QUIET * module);
    let mut html = String::with_capacity(16 << 10);
    // Light around it, so that it stays a code on a dark page. Browsers that force one turn white to black, and leave light grey alone.
    let outer = width + 2 * quiet;
    write!(
        html,
        "<table role=\"img\" aria-label=\"QR code\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" width=\"{outer}\" bgcolor=\"#d0d0d0\" \
         style=\"border-collapse:collapse;width:{outer}px;background-color:#d0d0d0;\"><tr><td style=\"padding:{quiet}px;\">\
         <table role=\"presentation\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" width=\"{width}\" \
         style=\"border-collapse:collapse;width:{width}px;table-layout:fixed;\">"
    )
    .ok()?;
    // One row that says how wide a column is: the widths of joined cells would leave it open.
    html.push_str("<tr>");
    for _ in 0..size {
        write!(html, "<td width=\"{module}\"></td>").ok()?;
    }
    html.push_str("</tr>");
    for y in 0..code.size() {
        row(&mut html, &code, y, module).ok()?;
    }
    html.push_str("</table></td></tr></table>");
    Some(html)
}

fn row(html: &mut String, code: &QrCode, y: i32, module: u32) -> std::fmt::Result {
    write!(
        html,
        "<tr height=\"{module}\" style=\"height:{module}px;font-size:1px;line-height:{module}px;mso-line-height-rule:exactly;\">"
    )?;
    let mut x = 0;
    while x < code.size() {
        let dark = code.get_module(x, y);
        let run = (x..code.size()).take_while(|x| code.get_module(*x, y) == dark).count();
        html.push_str("<td");
        if dark {
            html.push_str(" bgcolor=\"black\"");
        }
        if run > 1 {
            write!(html, " colspan=\"{run}\"")?;
        }
        html.push_str("></td>");
        x += i32::try_from(run).unwrap_or(i32::MAX);
    }
    html.push_str("</tr>");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The modules that a table shows, row by row.
    fn modules(html: &str) -> Vec<String> {
        let rows = html.split("<tr height").skip(1);
        let cells = |row: &str| {
            let cells = row.split("<td").skip(1).map(|cell| {
                let run = cell.split_once("colspan=\"").map_or(1, |(_, run)| run.split('"').next().unwrap().parse().unwrap());
                if cell.contains("bgcolor") { "#".repeat(run) } else { ".".repeat(run) }
            });
            cells.collect::<String>()
        };
        rows.map(cells).collect()
    }

    #[test]
    fn the_table_shows_the_modules_of_the_code() {
        let text = "https://northwind.example/hanna";
        let code = QrCode::encode_text(text, QrCodeEcc::Low).unwrap();
        let expected: Vec<String> =
            (0..code.size()).map(|y| (0..code.size()).map(|x| if code.get_module(x, y) { '#' } else { '.' }).collect()).collect();
        assert_eq!(modules(&table(text, MODULE).unwrap()), expected);
    }

    #[test]
    fn a_code_is_as_large_as_it_may_get() {
        let longest = table(&"x".repeat(LONGEST), MODULE).unwrap();
        assert!(longest.len() < 48 << 10, "{} octets", longest.len());
        let address = table("https://northwind.example/people/hanna", MODULE).unwrap();
        assert!(address.len() < 14 << 10, "{} octets", address.len());
        assert_eq!(table(&"x".repeat(LONGEST + 1), MODULE), None);
        assert_eq!(table("", MODULE), None);
    }
}
