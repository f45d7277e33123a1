//! README says only what is true: its example is the example that is built and tested, and what it links to exists.

use std::path::Path;

const README: &str = include_str!("../README.md");

#[test]
fn the_first_plugin_in_readme_is_the_example_that_is_built() {
    let example = include_str!("../plugins/examples/by-domain/src/lib.rs").trim();
    assert!(README.contains(example), "README's first plugin differs from plugins/examples/by-domain/src/lib.rs");
}

#[test]
fn every_link_in_readme_leads_to_a_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let targets = README.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let missing: Vec<_> = targets.filter(|target| !target.contains("://") && !root.join(target).exists()).collect();
    assert!(missing.is_empty(), "README links to {missing:?}");
}

#[test]
fn every_command_in_readme_is_a_target_of_the_makefile() {
    let makefile = include_str!("../Makefile");
    let mentioned = README.split("`make ").skip(1).filter_map(|rest| rest.split(['`', ' ']).next()).chain(["demo", "test"]);
    for target in mentioned {
        assert!(makefile.contains(&format!("\n{target}:")), "README mentions make {target}");
    }
}
