//! No import cycles between the files of a module.
//!
//! A path counts for the file that defines what it names: re-exports and `use` are followed. So a `mod.rs` that only
//! declares and re-exports is in no cycle. Methods are not followed: a call `self.x()` names no file.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use syn::{Item, UseTree, Visibility};

use super::source::{CodePath, Source};
use super::{Complaint, module_of};

/// A file with the names in it.
struct File<'a> {
    path: &'a str,
    source: &'a Source,
    defines: BTreeSet<String>,
    /// Imported and re-exported names, with the paths as written.
    uses: BTreeMap<String, Vec<String>>,
    /// Paths of `use …::*`.
    globs: Vec<Vec<String>>,
    /// Paths that are imported but not re-exported.
    private: Vec<Vec<String>>,
}

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    /// An item that this module's file defines.
    Item(String),
    Module(String),
}

/// How many re-exports may lie between a name and its definition.
const HOPS_MAX: usize = 8;

/// Files by their module's path: `agent::plan`, with the crate's name in front: `lib::agent::plan`, `ctl::output`.
struct Crates<'a>(BTreeMap<String, File<'a>>);

pub(super) fn check<'a>(files: impl Iterator<Item = (&'a str, &'a Source)>) -> Vec<Complaint> {
    let crates = Crates(files.map(|(path, source)| (module_path(path), File::new(path, source))).collect());
    let edges: BTreeMap<&str, BTreeSet<&str>> =
        crates.0.iter().map(|(module, file)| (file.path, crates.imports(module))).collect();
    let circles = edges.keys().filter_map(|file| Some((*file, circle(&edges, file)?)));
    circles.map(|(file, way)| Complaint::new(file, "is in an import cycle").detail(way.join(" → "))).collect()
}

/// The shortest way from a file back to itself.
fn circle<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>, file: &'a str) -> Option<Vec<&'a str>> {
    let mut came_from = BTreeMap::new();
    let mut next = VecDeque::from([file]);
    while let Some(at) = next.pop_front() {
        for &import in edges.get(at).into_iter().flatten() {
            if import == file {
                let mut way = vec![file, at];
                while let Some(&before) = came_from.get(way[way.len() - 1]) {
                    way.push(before);
                }
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(import) {
                came_from.insert(import, at);
                next.push_back(import);
            }
        }
    }
    None
}

/// `src/agent/plan.rs` is `lib::agent::plan`.
fn module_path(path: &str) -> String {
    let (root, inside) = match path.strip_prefix("src/bin/ctl/") {
        Some(inside) => ("ctl", inside),
        None => ("lib", path.trim_start_matches("src/")),
    };
    let module = inside.trim_end_matches(".rs").trim_end_matches("/mod");
    let own = ["lib", "main", "mod"].contains(&module);
    if own { root.to_owned() } else { format!("{root}::{}", module.replace('/', "::")) }
}

impl<'a> File<'a> {
    fn new(path: &'a str, source: &'a Source) -> Self {
        let mut file = Self {
            path,
            source,
            defines: BTreeSet::new(),
            uses: BTreeMap::new(),
            globs: Vec::new(),
            private: Vec::new(),
        };
        for item in &source.items {
            if let Item::Use(import) = item {
                let exported = !matches!(import.vis, Visibility::Inherited);
                file.import(&import.tree, &mut Vec::new(), exported);
            }
            file.defines.extend(defined(item));
        }
        file
    }

    fn import(&mut self, tree: &UseTree, prefix: &mut Vec<String>, exported: bool) {
        let (name, shown) = match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.import(&path.tree, prefix, exported);
                prefix.pop();
                return;
            }
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import(tree, prefix, exported));
                return;
            }
            UseTree::Glob(_) => {
                self.globs.push(prefix.clone());
                return;
            }
            UseTree::Name(name) => (name.ident.to_string(), name.ident.to_string()),
            UseTree::Rename(rename) => (rename.ident.to_string(), rename.rename.to_string()),
        };
        let mut path = prefix.clone();
        let shown = if name == "self" { path.last().cloned().unwrap_or(shown) } else { shown };
        if name != "self" {
            path.push(name);
        }
        if !exported {
            self.private.push(path.clone());
        }
        self.uses.insert(shown, path);
    }
}

/// The name that an item brings into its module.
fn defined(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Macro(item) => item.ident.as_ref()?.to_string(),
        Item::Mod(item) if item.content.is_some() => item.ident.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        Item::Union(item) => item.ident.to_string(),
        _ => return None,
    })
}

impl Crates<'_> {
    /// The files of its own module whose items a file uses.
    fn imports(&self, module: &str) -> BTreeSet<&str> {
        let file = &self.0[module];
        let in_code =
            file.source.paths_in_code().filter(|path| file.may_name_an_item(path)).map(|path| &path.parts);
        let named =
            file.private.iter().chain(in_code).filter_map(|path| self.resolve(module, path, HOPS_MAX));
        let globbed = file.globs.iter().filter_map(|path| self.resolve(module, path, HOPS_MAX));
        let items = named.filter(|named| matches!(named, Named::Item(_))).chain(globbed);
        let targets = items.map(|named| match named {
            Named::Item(target) | Named::Module(target) => self.0[&target].path,
        });
        targets.filter(|target| *target != file.path && module_of(target) == module_of(file.path)).collect()
    }

    fn resolve(&self, module: &str, path: &[String], hops: usize) -> Option<Named> {
        let mut at = module.to_owned();
        let mut rest = path;
        let root = module.split("::").next().unwrap_or(module);
        while let Some(first) = rest.first() {
            match first.as_str() {
                "crate" => at = root.to_owned(),
                "self" => {}
                "super" => at = at.rsplit_once("::")?.0.to_owned(),
                _ => break,
            }
            rest = &rest[1..];
        }
        for (n, name) in rest.iter().enumerate() {
            match self.lookup(&at, name, n + 1 == rest.len(), hops)? {
                Named::Module(inner) => at = inner,
                item => return Some(item),
            }
        }
        Some(Named::Module(at))
    }

    /// What a name means inside a module. The last name of a path rather means an item than a module of that name.
    fn lookup(&self, module: &str, name: &str, last: bool, hops: usize) -> Option<Named> {
        let hops = hops.checked_sub(1)?;
        let file = self.0.get(module)?;
        let child = format!("{module}::{name}");
        let child = self.0.contains_key(&child).then_some(Named::Module(child));
        if let Some(child) = child.clone().filter(|_| !last) {
            return Some(child);
        }
        if file.defines.contains(name) {
            return Some(Named::Item(module.to_owned()));
        }
        let used = file.uses.get(name).and_then(|path| self.resolve(module, path, hops));
        let globbed = || {
            file.globs.iter().find_map(|glob| match self.resolve(module, glob, hops)? {
                Named::Module(inner) if inner != module => self.lookup(&inner, name, last, hops),
                _ => None,
            })
        };
        used.or(child).or_else(globbed)
    }
}

impl File<'_> {
    /// A single small word is a variable more often than a function that was imported.
    fn may_name_an_item(&self, path: &CodePath) -> bool {
        let [name] = path.parts.as_slice() else { return !path.after_dot };
        let is_type = name.starts_with(char::is_uppercase);
        !path.after_dot && (is_type || path.called || path.is_macro) && self.uses.contains_key(name)
    }
}

/// The complaints about a crate of these files.
fn complaints(files: &[(&str, &str)]) -> Vec<String> {
    let parsed: Vec<(&str, Source)> = files.iter().map(|(path, text)| (*path, Source::parse(text))).collect();
    check(parsed.iter().map(|(path, source)| (*path, source))).iter().map(ToString::to_string).collect()
}

#[test]
fn cycle_between_files_is_reported_through_reexports() {
    let files = [
        ("src/agent/mod.rs", "mod plan;\nmod view;\npub use plan::{Plan, plan};\npub use view::*;"),
        ("src/agent/plan.rs", "use super::View;\npub struct Plan;\npub fn plan() -> View { View }"),
        ("src/agent/view.rs", "pub struct View;\nfn f() { super::plan() }"),
    ];
    assert_eq!(
        complaints(&files),
        [
            "src/agent/plan.rs: is in an import cycle: src/agent/plan.rs → src/agent/view.rs → src/agent/plan.rs",
            "src/agent/view.rs: is in an import cycle: src/agent/view.rs → src/agent/plan.rs → src/agent/view.rs",
        ]
    );
}

#[test]
fn parent_is_in_cycle_only_by_its_own_items() {
    let child = ("src/agent/plan.rs", "use super::{Agent, View};\npub struct Plan(Agent);");
    let view = ("src/agent/view.rs", "pub struct View;");
    for (parent, wanted) in [
        ("mod plan;\nmod view;\npub use plan::Plan;\npub use view::View;\npub struct Agent;", 0),
        ("mod plan;\nmod view;\npub use plan::Plan;\npub use view::View;\npub struct Agent { p: Plan }", 2),
        ("mod plan;\nmod view;\nuse plan::Plan;\nuse view::View;\npub struct Agent;", 2),
        ("mod plan;\nmod view;\nuse view::View;\npub struct Agent(View);\nfn f() { plan::g() }", 0),
        ("mod plan;\nmod view;\nuse view::View;\npub struct Agent(View);\nfn f() -> plan::Plan {}", 2),
    ] {
        let found = complaints(&[("src/agent/mod.rs", parent), child, view]);
        assert_eq!(found.len(), wanted, "{parent}: {found:?}");
    }
}

#[test]
fn imports_between_modules_are_no_cycle_of_files() {
    let files = [
        ("src/agent/mod.rs", "use crate::store::Store;\npub struct Agent;"),
        ("src/store/mod.rs", "use crate::agent::Agent;\npub struct Store;"),
    ];
    assert_eq!(complaints(&files), Vec::<String>::new());
}
