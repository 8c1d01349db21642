//! The pages of the documentation: manifests in them are valid, files they name exist, and the list of pages is complete.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use coxswain::manifest::{ManifestSource, parse};

/// Pages with manifests: the exact list, so that a change of the pages' layout cannot skip one.
const PAGES_WITH_MANIFESTS: [&str; 16] = [
    "README.md",
    "docs/how-to/container-options.md",
    "docs/how-to/failed-release.md",
    "docs/how-to/grpc.md",
    "docs/how-to/live-changes.md",
    "docs/how-to/manifests-directory.md",
    "docs/how-to/rolling-upgrade.md",
    "docs/how-to/rootless.md",
    "docs/how-to/store.md",
    "docs/how-to/tcp.md",
    "docs/how-to/tls.md",
    "docs/how-to/undo.md",
    "docs/how-to/verify.md",
    "docs/how-to/volumes.md",
    "docs/how-to/websocket.md",
    "docs/reference/routing.md",
];

/// The files with this extension below a folder, but for those of the build and of other tools.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name();
            if !entry.file_type().unwrap().is_dir() {
                found.push(entry.path());
            } else if name != "target" && !name.as_encoded_bytes().starts_with(b".") {
                folders.push(entry.path());
            }
        }
    }
    found.retain(|path| path.extension().is_some_and(|of| of == extension));
    found
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = files(&root.join("docs"), "md");
    pages.extend(["README.md", "CHANGELOG.md"].map(|name| root.join(name)));
    pages.sort();
    pages
}

#[test]
fn pages_show_only_valid_manifests() {
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

/// `[text](path)` with a path in the repository, `` `src/…` ``, and the ends of paths in the walks of the map: `` `http/forward.rs` ``.
#[test]
fn pages_name_only_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources: Vec<String> =
        files(root, "rs").into_iter().map(|path| path.to_str().unwrap().to_owned()).collect();
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
        let quoted =
            text.split('`').skip(1).step_by(2).filter(|name| name.ends_with(".rs") && !name.contains('<'));
        let unknown =
            quoted.filter(|name| !sources.iter().any(|source| source.ends_with(&format!("/{name}"))));
        missing.extend(unknown.map(|name| (page.clone(), PathBuf::from(name))));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn docs_readme_lists_every_page() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let list = fs::read_to_string(docs.join("README.md")).unwrap();
    for page in pages().iter().filter_map(|page| page.strip_prefix(&docs).ok()) {
        let name = page.to_str().unwrap();
        let listed = name == "README.md" || name.starts_with("adr/") || list.contains(&format!("]({name})"));
        assert!(listed, "docs/README.md does not list {name}");
    }
}
