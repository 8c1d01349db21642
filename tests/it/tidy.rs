//! The rules of the repository: who may import whom, what is pure, sizes, names, words.
//!
//! Each check is a function from paths and texts to complaints, and has a test that shows it a violation.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

mod cycles;
mod engine_calls;
mod names;
mod purity;
mod sizes;
mod source;
mod test_names;
mod wire;
mod words;

use source::Source;

/// Which module may import which; its own files aside. `docs/ARCHITECTURE.md` shows the same table.
const LAYERS: [(&str, &[&str]); 19] = [
    ("model", &[]),
    ("clock", &["model"]),
    ("manifest", &["model"]),
    ("orchestrator", &["model"]),
    ("routing", &["model"]),
    ("engine", &["model"]),
    ("probe", &["model", "clock", "engine"]),
    ("store", &["model", "clock"]),
    ("events", &["model", "store"]),
    ("registry", &["model", "store"]),
    ("agent", &["model", "clock", "engine", "probe", "store", "events", "registry"]),
    ("plane", &["model"]),
    ("certificates", &["model"]),
    ("balancer", &["model", "clock", "plane", "routing"]),
    (
        "controller",
        &[
            "model",
            "clock",
            "orchestrator",
            "agent",
            "store",
            "events",
            "registry",
            "plane",
            "routing",
            "certificates",
        ],
    ),
    ("source", &["model", "clock", "manifest", "controller"]),
    ("api", &["model", "controller"]),
    ("daemon", &[ALL]),
    ("bin/ctl", &["model", "clock", "manifest", "api", "daemon"]),
];
const ALL: &str = "all";
/// Modules that are pure as a whole.
const PURE_MODULES: [&str; 4] = ["model", "manifest", "orchestrator", "routing"];

const NAMELESS: [&str; 5] = ["utils", "util", "helpers", "helper", "common"];
const PRINTING: [&str; 5] = ["print", "println", "eprint", "eprintln", "dbg"];
const MARKS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// What is wrong with a file.
#[derive(Debug, Clone)]
struct Complaint {
    path: String,
    line: Option<usize>,
    what: String,
    detail: String,
}

impl Complaint {
    fn new(path: &str, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, what: what.into(), detail: String::new() }
    }

    fn at(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.what)?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

#[test]
fn repository_is_tidy() {
    let complaints: Vec<String> = all_complaints().iter().map(ToString::to_string).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn all_complaints() -> Vec<Complaint> {
    let crates = dependencies(&fs::read_to_string(root().join("Cargo.toml")).unwrap());
    let files = rust_files();
    let sources: Vec<&(String, String)> = files.iter().filter(|(path, _)| path.starts_with("src/")).collect();
    let parsed: BTreeMap<&str, Source> =
        sources.iter().map(|(path, text)| (path.as_str(), Source::parse(text))).collect();
    let product: BTreeMap<&str, &Source> = parsed
        .iter()
        .filter(|(path, _)| !only_for_tests(path, &parsed))
        .map(|(path, source)| (*path, source))
        .collect();
    let pure: Vec<&str> =
        product.iter().filter(|(_, source)| purity::claims(source)).map(|(path, _)| *path).collect();
    let mut found = Vec::new();
    for (path, text) in &files {
        found.extend(check_text(path, text));
        found.extend(test_names::check(path, text));
    }
    for (path, text) in files.iter().chain(&pages()) {
        found.extend(words::check(path, text));
    }
    for (path, source) in &product {
        found.extend(check_source(path, source));
        if pure.iter().any(|file| speaks_for(file, path)) {
            found.extend(purity::check(path, source, &crates));
        }
    }
    for module in PURE_MODULES {
        let header = format!("src/{module}/mod.rs");
        if !pure.contains(&header.as_str()) {
            found.push(Complaint::new(&header, "the module is pure, and its header does not say `Pure.`"));
        }
    }
    found.extend(names::check_unique(product.iter().map(|(path, source)| (*path, *source))));
    found.extend(wire::check(product.iter().map(|(path, source)| (*path, *source))));
    found.extend(engine_calls::check(product.iter().map(|(path, source)| (*path, *source))));
    found.extend(cycles::check(product.iter().map(|(path, source)| (*path, *source))));
    found
}

/// Whether the header of a file claims something for another: its own, or those of its folder.
fn speaks_for(file: &str, other: &str) -> bool {
    file == other || file.strip_suffix("mod.rs").is_some_and(|folder| other.starts_with(folder))
}

#[test]
fn layer_table_has_no_cycle() {
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
fn architecture_page_shows_layer_table() {
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
        collect(&root().join(folder), "rs", &mut found);
    }
    found.sort();
    found
}

fn collect(folder: &Path, wanted: &str, found: &mut Vec<(String, String)>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, wanted, found);
        } else if path.extension().is_some_and(|extension| extension == wanted) {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Whether a parent declares the file's module, or one that it lies in, only for tests.
fn only_for_tests(path: &str, files: &BTreeMap<&str, Source>) -> bool {
    Path::new(path).ancestors().filter_map(|part| part.to_str()).any(|part| {
        let module = part.trim_end_matches(".rs").trim_end_matches("/mod");
        let Some((parent, name)) = module.rsplit_once('/') else { return false };
        let parents = ["lib.rs", "mod.rs", "main.rs"].map(|file| format!("{parent}/{file}"));
        let declares =
            |file: &String| files.get(file.as_str()).is_some_and(|f| f.test_modules.contains(name));
        parents.iter().chain([&format!("{parent}.rs")]).any(declares)
    })
}

/// The pages of the documentation, and the texts of the tests, the examples and the benchmarks. Snapshots are not among
/// them: they hold the product's output.
fn pages() -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(&root().join("docs"), "md", &mut found);
    for folder in ["tests", "examples", "benches"] {
        collect(&root().join(folder), "md", &mut found);
        collect(&root().join(folder), "txt", &mut found);
    }
    for page in ["README.md", "CHANGELOG.md"] {
        found.push((page.to_owned(), fs::read_to_string(root().join(page)).unwrap()));
    }
    found
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
fn check_text(path: &str, text: &str) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    if !text.starts_with("//!") {
        complaints.push(Complaint::new(path, "starts without `//!`"));
    }
    if path.split('/').any(|part| NAMELESS.contains(&part.trim_end_matches(".rs"))) {
        complaints.push(Complaint::new(path, "name it by what is in it"));
    }
    for (n, line) in text.lines().enumerate() {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        if let Some(mark) = words.find(|word| MARKS.contains(word)) {
            complaints.push(Complaint::new(path, mark).at(n + 1));
        }
        if line.trim_start().starts_with("#[ignore") {
            complaints.push(Complaint::new(path, "an ignored test").at(n + 1));
        }
    }
    complaints
}

/// What holds for the product's own code, tests aside.
fn check_source(path: &str, source: &Source) -> Vec<Complaint> {
    let mut complaints = sizes::check(path, source);
    complaints.extend(names::check_documented(path, source));
    complaints.extend(purity::check_claim(path, source));
    complaints.extend(purity::check_clock(path, source));
    if !path.starts_with("src/bin/ctl/output") {
        let printed = source.paths().filter(|path| {
            path.is_macro && path.parts.len() == 1 && PRINTING.contains(&path.parts[0].as_str())
        });
        complaints.extend(printed.map(|found| {
            Complaint::new(path, format!("{}! belongs to bin/ctl/output", found.parts[0])).at(found.line)
        }));
    }
    if path != "src/lib.rs" {
        complaints.extend(check_imports(path, source));
    }
    complaints
}

fn check_imports(path: &str, source: &Source) -> Vec<Complaint> {
    let module = module_of(path);
    let Some(allowed) = layer(module) else {
        return vec![Complaint::new(path, format!("module `{module}` is not in the table of layers"))];
    };
    let imports = source.paths().filter_map(|at| Some((imported(path, &at.parts)?, at.line)));
    imports
        .filter(|(import, _)| {
            import != module && !allowed.contains(&ALL) && !allowed.contains(&import.as_str())
        })
        .map(|(import, line)| Complaint::new(path, format!("`{module}` may not import `{import}`")).at(line))
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
    let mut found = check_text(path, text);
    found.extend(check_source(path, &Source::parse(text)));
    let line =
        |complaint: &Complaint| complaint.to_string().trim_start_matches(path)[1..].trim_start().to_owned();
    found.iter().map(line).collect()
}

#[test]
fn check_imports_reports_forbidden_import_in_every_form() {
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
    assert_eq!(found, ["module `misc` is not in the table of layers"]);
}

#[test]
fn check_imports_accepts_allowed_import() {
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
fn check_text_reports_marks_names_and_prints() {
    let mark = MARKS[0];
    for (path, text) in [
        ("src/agent/utils.rs", "//! x\n".to_owned()),
        ("tests/it/common/mod.rs", "//! x\n".to_owned()),
        ("src/agent/execute.rs", "use std::fs;\n".to_owned()),
        ("src/agent/execute.rs", format!("//! x\n// {mark}: later\n")),
        ("src/agent/execute.rs", "//! x\n#[ignore]\nfn f() {}\n".to_owned()),
        ("src/agent/execute.rs", "//! x\nfn f() { println!(\"x\") }\n".to_owned()),
        ("src/bin/ctl/commands/get.rs", "//! x\nfn f() { eprint!(\"x\") }\n".to_owned()),
    ] {
        let found = if path.starts_with("src/") {
            complaints(path, &text).len()
        } else {
            check_text(path, &text).len()
        };
        assert_eq!(found, 1, "{path} {text}");
    }
    assert_eq!(complaints("src/bin/ctl/output/mod.rs", "//! x\nfn f() { println!(\"x\") }\n").len(), 0);
}

#[test]
fn shown_layers_parses_markdown_table() {
    let map = "| module | nature | may import |\n| --- | --- | --- |\n| `model/` | PURE | nothing |\n\
               | `probe/` | edge | model, `clock`, engine |\n| `bin/ctl/` | shell | model |\n";
    let shown = shown_layers(map);
    assert_eq!(shown.len(), 3);
    assert_eq!(shown["model"], Vec::<String>::new());
    assert_eq!(shown["probe"], ["model", "clock", "engine"]);
    assert_eq!(shown["bin/ctl"], ["model"]);
}
