//! What the pages show is so: every manifest in them is read, every file they point at is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use coxswain::manifest::{ManifestSource, parse};

/// A page that loses its manifests, or shows its first, is noticed here.
const PAGES_WITH_MANIFESTS: [&str; 9] = [
    "README.md",
    "docs/how-to/failed-release.md",
    "docs/how-to/live-changes.md",
    "docs/how-to/manifests-directory.md",
    "docs/how-to/rolling-upgrade.md",
    "docs/how-to/rootless.md",
    "docs/how-to/undo.md",
    "docs/how-to/verify.md",
    "docs/how-to/volumes.md",
];

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = Vec::new();
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                pages.push(entry.path());
            }
        }
    }
    pages.extend(["README.md", "CHANGELOG.md"].map(|name| root.join(name)));
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    pages
}

#[test]
fn every_manifest_in_the_pages_is_read() {
    let mut shown = BTreeSet::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let mut blocks = text.split("\n```yaml\n").skip(1);
        while let Some((block, _)) = blocks.next().and_then(|rest| rest.split_once("\n```")) {
            let name = page.display().to_string();
            if let Err(findings) = parse(&[ManifestSource::new(name.clone(), block)]) {
                panic!("{name}: {}\n{block}", findings.iter().map(|f| format!("{f}\n")).collect::<String>());
            }
            assert_eq!(crate::manifests::complaints(block), Vec::<String>::new(), "{name}");
            shown.insert(page.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string());
        }
    }
    let wanted = PAGES_WITH_MANIFESTS.map(str::to_owned).into();
    assert_eq!(shown, wanted, "the list is in this file");
}

/// `[text](path)` with a path of ours, and `` `src/…` `` in a table of the map.
#[test]
fn every_file_that_the_pages_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut missing = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let folder = page.parent().unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
        let links = links.filter(|link| !link.contains("://") && !link.starts_with('#'));
        let linked = links.map(|link| folder.join(link.split('#').next().unwrap_or(link)));
        let quoted = text.split('`').skip(1).step_by(2);
        let ours = ["src/", "tests/", "examples/", "manifests/", "docs/"];
        let named = quoted.filter(|name| ours.iter().any(|folder| name.starts_with(folder)));
        let named = named.filter(|name| !name.contains(['<', '*', ' '])).map(|name| root.join(name));
        missing.extend(linked.chain(named).filter(|path| !path.exists()).map(|path| (page.clone(), path)));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The list of pages names every page.
#[test]
fn the_list_of_pages_is_whole() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let list = fs::read_to_string(docs.join("README.md")).unwrap();
    for page in pages().iter().filter_map(|page| page.strip_prefix(&docs).ok()) {
        let name = page.to_str().unwrap();
        let listed = name == "README.md" || name.starts_with("adr/") || list.contains(&format!("]({name})"));
        assert!(listed, "docs/README.md does not list {name}");
    }
}
