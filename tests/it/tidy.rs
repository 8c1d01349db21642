//! Guards the house: who may import whom, what is pure, sizes, names, marks.
//!
//! Each check is a function from a file's path and text to complaints, so that the tests below can show that it fails when
//! it should.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

mod source;

use source::Source;

/// Which module may import which; its own files aside. `docs/ARCHITECTURE.md` shows the same table.
const LAYERS: [(&str, &[&str]); 18] = [
    ("model", &[]),
    ("clock", &["model"]),
    ("manifest", &["model"]),
    ("orchestrator", &["model"]),
    ("engine", &["model"]),
    ("probe", &["model", "clock", "engine"]),
    ("store", &["model", "clock"]),
    ("registry", &["model", "store"]),
    ("agent", &["model", "clock", "engine", "probe", "store", "registry"]),
    ("plane", &["model"]),
    ("balancer", &["model", "clock", "plane"]),
    ("dns", &["model", "plane"]),
    ("controller", &["model", "clock", "orchestrator", "agent", "store", "registry", "plane"]),
    ("source", &["model", "manifest", "controller"]),
    ("api", &["model", "controller"]),
    ("dashboard", &["model", "api"]),
    ("daemon", &[ALL]),
    ("bin/ctl", &["model", "manifest", "api", "daemon"]),
];
const ALL: &str = "all";

/// Files and folders without async, I/O, clock, randomness and logging.
const PURE: [&str; 23] = [
    "src/model/",
    "src/manifest/",
    "src/orchestrator/",
    "src/engine/translate.rs",
    "src/engine/kind.rs",
    "src/probe/tracker.rs",
    "src/registry/table.rs",
    "src/registry/barrier.rs",
    "src/agent/plan.rs",
    "src/agent/classify.rs",
    "src/agent/backoff.rs",
    "src/agent/holdings.rs",
    "src/agent/node.rs",
    "src/agent/reached.rs",
    "src/agent/round.rs",
    "src/agent/cleanup.rs",
    "src/balancer/route.rs",
    "src/balancer/select.rs",
    "src/controller/balancer_outage.rs",
    "src/dns/zone.rs",
    "src/daemon/restart.rs",
    "src/source/removal_guard.rs",
    "src/source/plan.rs",
];
/// Crates that pure files may use.
const PURE_CRATES: [&str; 7] = ["serde", "serde_json", "thiserror", "sha2", "jiff", "schemars", "strsim"];
/// And those that one place may use beyond them.
const PURE_CRATES_OF: [(&str, &[&str]); 2] =
    [("src/manifest/", &["serde_yaml", "granit_parser"]), ("src/engine/translate.rs", &["bollard"])];
/// Parts of the standard library that act or look at the world. Addresses of `std::net` are only values.
const IMPURE_STD: [&str; 6] = ["fs", "io", "env", "process", "thread", "os"];
/// Words that no pure file has a use for.
const IMPURE_WORDS: [&str; 11] = [
    "async",
    "await",
    "Instant",
    "SystemTime",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "RandomState",
    "ToSocketAddrs",
    "Mutex",
    "RwLock",
];

/// Lines of a file, tests aside.
const FILE_LINES: usize = 400;
/// Lines of a function.
const FUNCTION_LINES: usize = 60;
/// Files and functions that may be longer, each with the reason.
const LONGER: [(&str, &str); 1] =
    [("src/api/types.rs", "one flat list of requests and responses, read from top to bottom")];

const NAMELESS: [&str; 5] = ["utils", "util", "helpers", "helper", "common"];
const PRINTING: [&str; 5] = ["print", "println", "eprint", "eprintln", "dbg"];
const MARKS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

#[test]
fn the_repository_is_tidy() {
    let crates = dependencies(&fs::read_to_string(root().join("Cargo.toml")).unwrap());
    let files: Vec<(String, String)> = rust_files();
    let mut complaints = Vec::new();
    for (path, text) in &files {
        complaints.extend(check_text(path, text));
        if path.starts_with("src/") && !only_for_tests(path, &files) {
            complaints.extend(check_source(path, &Source::parse(text), &crates));
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn the_table_of_layers_has_no_cycle() {
    let reached = |from: &str| {
        let (mut seen, mut next) = (Vec::new(), vec![from]);
        while let Some(module) = next.pop() {
            for &import in layer(module).unwrap().iter().filter(|import| **import != ALL) {
                if !seen.contains(&import) {
                    seen.push(import);
                    next.push(import);
                }
            }
        }
        seen
    };
    for (module, _) in LAYERS {
        assert!(!reached(module).contains(&module), "{module} imports itself by way of others");
        assert!(!reached(module).contains(&"daemon") || module == "bin/ctl", "{module} imports the root");
    }
}

#[test]
fn the_map_shows_the_same_table() {
    let Ok(map) = fs::read_to_string(root().join("docs/ARCHITECTURE.md")) else { return };
    let shown = shown_layers(&map);
    let known: BTreeMap<String, Vec<String>> = LAYERS
        .iter()
        .map(|(module, imports)| ((*module).to_owned(), imports.iter().map(|i| (*i).to_owned()).collect()))
        .filter(|(module, _): &(String, Vec<String>)| {
            module == "bin/ctl" || root().join("src").join(module).exists() || shown.contains_key(module)
        })
        .collect();
    assert_eq!(shown, known);
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["src", "tests", "examples", "benches"] {
        collect(&root().join(folder), &mut found);
    }
    found.sort();
    found
}

fn collect(folder: &Path, found: &mut Vec<(String, String)>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Whether a parent declares the file's module, or one that it lies in, under `#[cfg(test)]`.
fn only_for_tests(path: &str, files: &[(String, String)]) -> bool {
    Path::new(path).ancestors().filter_map(|part| part.to_str()).any(|part| {
        let module = part.trim_end_matches(".rs").trim_end_matches("/mod");
        let Some((parent, name)) = module.rsplit_once('/') else { return false };
        let declares = |file: &str| file == format!("{parent}.rs") || file == format!("{parent}/mod.rs");
        files.iter().any(|(file, text)| declares(file) && Source::parse(text).test_modules.contains(name))
    })
}

/// Names of the crates in `[dependencies]`, as code writes them.
fn dependencies(manifest: &str) -> Vec<String> {
    let table = manifest.split("\n[").find_map(|table| table.strip_prefix("dependencies]")).unwrap();
    table
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0.trim().replace('-', "_")))
        .filter(|name| !name.starts_with('#'))
        .collect()
}

fn layer(module: &str) -> Option<&'static [&'static str]> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, imports)| *imports)
}

/// The module that a file of `src/` belongs to.
fn module_of(path: &str) -> &str {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    if inside.starts_with("bin/ctl/") {
        return "bin/ctl";
    }
    inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
}

/// What holds for every Rust file, tests included.
fn check_text(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if !text.starts_with("//!") {
        complaints.push(format!("{path}: starts without `//!`"));
    }
    if path.split('/').any(|part| NAMELESS.contains(&part.trim_end_matches(".rs"))) {
        complaints.push(format!("{path}: name it by what is in it"));
    }
    for (number, line) in text.lines().enumerate() {
        let words = || line.split(|c: char| !c.is_alphanumeric() && c != '_');
        if let Some(mark) = words().find(|word| MARKS.contains(word)) {
            complaints.push(format!("{path}:{}: {mark}", number + 1));
        }
        if line.trim_start().starts_with("#[ignore") {
            complaints.push(format!("{path}:{}: an ignored test", number + 1));
        }
    }
    complaints
}

/// What holds for the product's own code, outside `#[cfg(test)]`.
fn check_source(path: &str, source: &Source, crates: &[String]) -> Vec<String> {
    let mut complaints = check_sizes(path, source);
    if !path.starts_with("src/bin/ctl/output") {
        for name in PRINTING {
            let found = source.contains(&[name, "!"]);
            complaints.extend(found.map(|line| format!("{path}:{line}: {name}! belongs to bin/ctl/output")));
        }
    }
    if path != "src/lib.rs" {
        complaints.extend(check_imports(path, source));
    }
    if PURE.iter().any(|pure| path.starts_with(pure)) {
        complaints.extend(check_pure(path, source, crates));
    }
    complaints
}

fn check_sizes(path: &str, source: &Source) -> Vec<String> {
    let excused = |name: &str| LONGER.iter().any(|(longer, _)| *longer == name);
    let mut complaints = Vec::new();
    if source.lines > FILE_LINES && !excused(path) {
        complaints.push(format!("{path}: {} lines; at most {FILE_LINES}, split it", source.lines));
    }
    for function in source.functions() {
        let name = format!("{path}::{}", function.name);
        if function.lines > FUNCTION_LINES && !excused(&name) {
            let (line, lines) = (function.line, function.lines);
            complaints.push(format!("{path}:{line}: `{}` has {lines} lines; split it", function.name));
        }
    }
    complaints
}

fn check_imports(path: &str, source: &Source) -> Vec<String> {
    let module = module_of(path);
    let Some(allowed) = layer(module) else {
        return vec![format!("{path}: module `{module}` is not in the table of layers")];
    };
    let imports =
        source.paths().into_iter().filter_map(|(parts, line)| Some((imported(path, &parts)?, line)));
    imports
        .filter(|(import, _)| {
            import != module && !allowed.contains(&ALL) && !allowed.contains(&import.as_str())
        })
        .map(|(import, line)| format!("{path}:{line}: `{module}` may not import `{import}`"))
        .collect()
}

/// The top-level module that a path leads into.
fn imported(file: &str, path: &[String]) -> Option<String> {
    let is_module = |name: &&String| name.chars().all(|c| c.is_lowercase() || c == '_');
    if file.starts_with("src/bin/") {
        return (path[0] == "coxswain").then(|| path.get(1).filter(is_module).cloned())?;
    }
    if path[0] == "crate" {
        return path.get(1).filter(is_module).cloned();
    }
    let depth = file.trim_end_matches("/mod.rs").matches('/').count();
    let up = path.iter().take_while(|part| *part == "super").count();
    (up >= depth).then(|| path.get(up).filter(is_module).cloned())?
}

fn check_pure(path: &str, source: &Source, crates: &[String]) -> Vec<String> {
    let more = PURE_CRATES_OF.iter().filter(|(place, _)| path.starts_with(place)).flat_map(|(_, more)| *more);
    let allowed: Vec<&str> = PURE_CRATES.iter().chain(more).copied().collect();
    let mut complaints = Vec::new();
    for (parts, line) in source.paths() {
        let foreign = parts.len() > 1 && crates.contains(&parts[0]) && !allowed.contains(&parts[0].as_str());
        let acting = parts.len() > 1 && parts[0] == "std" && IMPURE_STD.contains(&parts[1].as_str());
        let word = parts.iter().any(|part| IMPURE_WORDS.contains(&part.as_str()));
        let asks = parts.len() > 1
            && parts[parts.len() - 1] == "now"
            && ["Timestamp", "Zoned"].contains(&parts[parts.len() - 2].as_str());
        if foreign || acting || word || asks {
            complaints.push(format!("{path}:{line}: `{}` in a pure file", parts.join("::")));
        }
    }
    complaints
}

/// Rows of a Markdown table whose first cell is a module, with the last cell read as its imports.
fn shown_layers(map: &str) -> BTreeMap<String, Vec<String>> {
    let rows = map.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let module = cells.first()?.strip_prefix('`')?.strip_suffix("/`")?;
        let imports = cells.last()?.replace('`', "");
        let imports: Vec<String> = imports.split(',').map(|import| import.trim().to_owned()).collect();
        Some((module.to_owned(), if imports == ["nothing"] { Vec::new() } else { imports }))
    });
    rows.collect()
}

/// The complaints about one file of `src/`, each without the path.
fn complaints(path: &str, text: &str) -> Vec<String> {
    let crates = ["tokio", "tracing", "serde", "serde_yaml", "rand"].map(str::to_owned);
    let mut found = check_text(path, text);
    found.extend(check_source(path, &Source::parse(text), &crates));
    found
        .iter()
        .map(|complaint| complaint.trim_start_matches(path).trim_start_matches(':').to_owned())
        .collect()
}

#[test]
fn a_forbidden_import_is_seen_however_it_is_written() {
    for import in [
        "use crate::store::Store;",
        "use crate::{model::Key, store::Store};",
        "fn f(s: &dyn crate::store::Store) {}",
        "use super::super::store::Store;",
    ] {
        let found = complaints("src/orchestrator/rolling.rs", &format!("//! x\n{import}\n"));
        assert_eq!(found, ["2: `orchestrator` may not import `store`"], "{import}");
    }
    let found = complaints("src/bin/ctl/main.rs", "//! x\nuse coxswain::store::Store;\n");
    assert_eq!(found, ["2: `bin/ctl` may not import `store`"]);
    let found = complaints("src/misc/mod.rs", "//! x\n");
    assert_eq!(found, ["module `misc` is not in the table of layers".trim_start()].map(|c| format!(" {c}")));
}

#[test]
fn an_allowed_import_passes() {
    for (path, import) in [
        ("src/orchestrator/rolling.rs", "use crate::model::Key;\nuse super::view::ServiceView;"),
        ("src/daemon/supervisor.rs", "use crate::clock::Clock;"),
        ("src/bin/ctl/main.rs", "use coxswain::api::client::Client;\nuse crate::output::Ui;"),
        ("src/agent/plan.rs", "#[cfg(test)]\nmod tests {\n    use crate::orchestrator::x;\n}"),
    ] {
        assert_eq!(complaints(path, &format!("//! x\n{import}\n")), Vec::<String>::new(), "{import}");
    }
}

#[test]
fn what_acts_is_seen_in_pure_files_and_only_there() {
    for act in [
        "async fn f() {}",
        "use tokio::time::sleep;",
        "fn f() { tracing::info!(\"x\") }",
        "use std::{collections::BTreeMap, fs};",
        "use std::time::Instant;",
        "use jiff::Timestamp;\nfn f() { Timestamp::now(); }",
        "use serde_yaml::Value;",
    ] {
        let text = format!("//! x\n{act}\n");
        assert_eq!(complaints("src/agent/plan.rs", &text).len(), 1, "{act}");
        assert_eq!(complaints("src/agent/execute.rs", &text).len(), 0, "{act}");
    }
    assert_eq!(complaints("src/manifest/tree.rs", "//! x\nuse serde_yaml::Value;\n").len(), 0);
    assert_eq!(
        complaints("src/model/ids.rs", "//! x\nuse std::net::IpAddr;\nuse serde::Serialize;\n").len(),
        0
    );
}

#[test]
fn sizes_are_limits() {
    let body = |lines: usize| format!("//! x\nfn f() {{\n{}}}\n", "    f();\n".repeat(lines));
    assert_eq!(complaints("src/agent/execute.rs", &body(58)), Vec::<String>::new());
    assert_eq!(complaints("src/agent/execute.rs", &body(59)), ["2: `f` has 61 lines; split it"]);
    let file = |lines: usize| format!("//! x\n{}", "// y\n".repeat(lines));
    assert_eq!(complaints("src/agent/execute.rs", &file(399)), Vec::<String>::new());
    assert_eq!(complaints("src/agent/execute.rs", &file(400)), [" 401 lines; at most 400, split it"]);
}

#[test]
fn marks_names_and_prints_are_seen() {
    let mark = MARKS[0];
    for (path, text) in [
        ("src/agent/utils.rs", "//! x\n".to_owned()),
        ("tests/it/common/mod.rs", "//! x\n".to_owned()),
        ("src/agent/execute.rs", "use std::fs;\n".to_owned()),
        ("src/agent/execute.rs", format!("//! x\n// {mark}: later\n")),
        ("src/agent/execute.rs", "//! x\n#[ignore]\n".to_owned()),
        ("src/agent/execute.rs", "//! x\nfn f() { println!(\"x\") }\n".to_owned()),
        ("src/bin/ctl/commands/get.rs", "//! x\nfn f() { eprint!(\"x\") }\n".to_owned()),
    ] {
        let found = if path.starts_with("src/") { complaints(path, &text) } else { check_text(path, &text) };
        assert_eq!(found.len(), 1, "{path} {text} {found:?}");
    }
    assert_eq!(complaints("src/bin/ctl/output/mod.rs", "//! x\nfn f() { println!(\"x\") }\n").len(), 0);
}

#[test]
fn a_table_in_the_map_is_read() {
    let map = "| module | nature | may import |\n| --- | --- | --- |\n| `model/` | PURE | nothing |\n\
               | `probe/` | edge | model, `clock`, engine |\n| `bin/ctl/` | shell | model |\n";
    let shown = shown_layers(map);
    assert_eq!(shown.len(), 3);
    assert_eq!(shown["model"], Vec::<String>::new());
    assert_eq!(shown["probe"], ["model", "clock", "engine"]);
    assert_eq!(shown["bin/ctl"], ["model"]);
}
