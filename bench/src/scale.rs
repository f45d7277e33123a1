//! What a large tenant costs: a directory of a hundred thousand people, a thousand rules, two hundred templates; once beside a small one, in one
//! process, so that the two can be compared.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use signet::address::Mailbox;
use signet::directory::Directory;
use signet::plugin::{Engine, EngineSettings, File, Limits, MessageView, Renderer, Selector};
use signet::signature::{Facts, Outcome};

use crate::measure::{peak_memory, percentile, reset_peak_memory};
use crate::plugins::{Nothing, facts};

const METHOD: &str = "\
Method. In one process: the directory is read from CSV text (twelve attributes and two groups a person); of each ten rules four are for a group, two
for one person, two for a department, one for a domain of recipients, one for a word in the subject; each template has its HTML and its text.
Then people all over the directory are looked up, a rule is chosen and the signature rendered, through fresh instances, one after the other on
one thread. Memory is the growth of peak resident memory (VmHWM) while it is made.";

/// The first calls fill caches and the pool.
const WARM_UP: usize = 500;
/// Calls that are timed, a line.
const CALLS: usize = 10_000;

/// How much of everything.
struct Size {
    people: usize,
    rules: usize,
    templates: usize,
}

const SIZES: [Size; 4] = [
    Size { people: 1_000, rules: 10, templates: 10 },
    Size { people: 100_000, rules: 10, templates: 200 },
    Size { people: 100_000, rules: 1_000, templates: 10 },
    Size { people: 100_000, rules: 1_000, templates: 200 },
];

/// Prints the table.
pub(crate) fn run(out: &mut impl Write) -> Result<()> {
    writeln!(out, "{METHOD}\n\n{CALLS} calls a line. {}\n", crate::report::machine())?;
    writeln!(
        out,
        "| people | rules | templates | directory s, MiB | selector s, MiB | renderer s, MiB | look-up us p50, p99 | select us p50, p99 | render us p50, p99 |"
    )?;
    writeln!(out, "|---:|---:|---:|---:|---:|---:|---:|---:|---:|")?;
    let engine = Engine::new(&EngineSettings::default())?;
    for size in &SIZES {
        line(size, &engine, out)?;
    }
    Ok(())
}

fn line(size: &Size, engine: &Engine, out: &mut impl Write) -> Result<()> {
    let (people, rules, templates) = (people(size), rules(size), templates(size));
    let (directory, directory_cost) = costing(|| Ok(Directory::from_csv(people.as_bytes())))?;
    let (directory, findings) = directory;
    ensure!(findings.is_empty() && directory.people() == size.people, "the directory has findings: {findings:?}");
    let limits = Limits::default();
    let (selector, selector_cost) = costing(|| Ok(Selector::load(engine, signet::DEFAULT_SELECTOR, &rules, &limits)?))?;
    let (renderer, renderer_cost) = costing(|| Ok(Renderer::load(engine, signet::DEFAULT_RENDERER, &templates, Vec::new(), &limits)?))?;
    let mut times: [Vec<Duration>; 3] = Default::default();
    for call in 0..CALLS + WARM_UP {
        let sender = Mailbox::parse(&format!("person{}@example.com", call * 7919 % size.people))?;
        let begun = Instant::now();
        let facts = Facts { sender: directory.person(&sender), ..facts() };
        let found = Instant::now();
        let decision = selector.select(&facts, Arc::new(Nothing) as Arc<dyn MessageView>).context("select")?;
        let selected = Instant::now();
        let id = match decision.copies.first().map(|copy| &copy.outcome) {
            Some(Outcome::Sign(choices)) => choices.first().context("an empty stack")?.id.clone(),
            other => bail!("nobody goes without a signature here: {other:?}"),
        };
        let rendering = Instant::now();
        let fragment = renderer.render(&id, &facts.sender, "en-GB", &facts.now, facts.format).context("render")?;
        let rendered = Instant::now();
        ensure!(fragment.html.is_some_and(|html| html.contains("Person ")), "the fragment is not the sender's");
        if call >= WARM_UP {
            for (series, time) in times.iter_mut().zip([found - begun, selected - found, rendered - rendering]) {
                series.push(time);
            }
        }
    }
    let [look_up, select, render] = times.map(|mut series| {
        series.sort_unstable();
        format!("{:.1}, {:.1}", percentile(&series, 50), percentile(&series, 99))
    });
    let Size { people, rules, templates } = size;
    writeln!(
        out,
        "| {people} | {rules} | {templates} | {directory_cost} | {selector_cost} | {renderer_cost} | {look_up} | {select} | {render} |"
    )?;
    Ok(())
}

/// Makes something; how long that took and how far memory grew.
fn costing<T>(make: impl FnOnce() -> Result<T>) -> Result<(T, String)> {
    let pid = std::process::id();
    reset_peak_memory(pid)?;
    let (before, begun) = (peak_memory(pid)?, Instant::now());
    let made = make()?;
    let (elapsed, grown) = (begun.elapsed(), peak_memory(pid)?.saturating_sub(before));
    Ok((made, format!("{:.2}, {}", elapsed.as_secs_f64(), grown / 1024)))
}

fn people(size: &Size) -> String {
    let mut text = "address,displayName,givenName,surname,jobTitle,department,companyName,city,country,businessPhone,mobilePhone,officeLocation,extensionAttribute1,groups\n".to_owned();
    for number in 0..size.people {
        let (department, group) = (number % 100, number % 400);
        // Writing to a String cannot fail.
        writeln!(
            text,
            "person{number}@example.com,Person {number},Person,{number},Planner,Department {department},Example Ltd,Hamburg,DE,+4940555{number:06},+4917055{number:06},Floor {group},x{number},group{group};all"
        )
        .ok();
    }
    text
}

fn rules(size: &Size) -> Vec<File> {
    let mut text = String::new();
    for number in 0..size.rules.saturating_sub(1) {
        let condition = match number % 10 {
            0..4 => format!("sender.groups = [\"group{}\"]", number % 400),
            4 | 5 => format!("sender.addresses = [\"person{}@example.com\"]", number * 97),
            6 | 7 => format!("sender.attributes = [{{ name = \"department\", equals = \"Department {}\" }}]", number % 100),
            8 => format!("recipient.domains = [\"domain{number}.example\"]"),
            _ => format!("message.subject-contains = [\"word{number}\"]"),
        };
        let signature = number % size.templates;
        writeln!(text, "[[rule]]\nname = \"Rule {number}\"\nsignature = \"signature-{signature}\"\n{condition}\n").ok();
    }
    writeln!(text, "[[rule]]\nname = \"Everybody else\"\nsignature = \"signature-0\"\n").ok();
    vec![File { name: "rules.toml".to_owned(), content: text }]
}

fn templates(size: &Size) -> Vec<File> {
    let html = |number: usize| {
        format!(
            "<table role=\"presentation\" style=\"font-family:Arial,sans-serif\"><tr><td style=\"color:#1f{:02x}9a\">{{{{ displayName }}}}</td></tr>\n\
             <tr data-if=\"jobTitle\"><td>{{{{ jobTitle }}}}, {{{{ department }}}}</td></tr>\n\
             <tr data-if=\"mobilePhone\"><td>Mobile <a href=\"tel:{{{{ mobilePhone | tel }}}}\">{{{{ mobilePhone }}}}</a></td></tr>\n\
             <tr><td>{{{{ joined(\" · \", companyName, city, country) }}}}</td></tr></table>\n",
            number % 256
        )
    };
    let text = "{{ displayName }}\n{{ joined(\", \", jobTitle, department) }}\nMobile {{ mobilePhone }}\n";
    (0..size.templates)
        .flat_map(|number| {
            [
                File { name: format!("signature-{number}.html"), content: html(number) },
                File { name: format!("signature-{number}.txt"), content: text.to_owned() },
            ]
        })
        .collect()
}
