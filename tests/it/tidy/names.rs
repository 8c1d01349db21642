//! Type names are unique in the crate; public items are documented.

use std::collections::BTreeMap;

use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, TraitItem, Visibility};

use super::Complaint;
use super::source::{Source, attributes, docs};

/// Every command of the binary calls its arguments so; they meet nowhere.
const SHARED: [(&str, &str); 1] = [("src/bin/ctl/", "Args")];

/// A type that a file of the crate defines, functions' own included.
#[derive(Debug)]
struct TypeName {
    name: String,
    line: usize,
}

#[derive(Default)]
struct TypeNames(Vec<TypeName>);

impl TypeNames {
    fn note(&mut self, name: &syn::Ident) {
        self.0.push(TypeName { name: name.to_string(), line: name.span().start().line });
    }
}

impl<'ast> Visit<'ast> for TypeNames {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Enum(item) => self.note(&item.ident),
            Item::Struct(item) => self.note(&item.ident),
            Item::Trait(item) => self.note(&item.ident),
            Item::Type(item) => self.note(&item.ident),
            Item::Union(item) => self.note(&item.ident),
            _ => {}
        }
        visit::visit_item(self, item);
    }
}

/// Names that two files give to types; the complaint is about the later file.
pub(super) fn check_unique<'a>(files: impl Iterator<Item = (&'a str, &'a Source)>) -> Vec<Complaint> {
    let mut first: BTreeMap<String, &str> = BTreeMap::new();
    let mut complaints = Vec::new();
    for (path, source) in files {
        let mut found = TypeNames::default();
        source.items.iter().for_each(|item| found.visit_item(item));
        for TypeName { name, line } in found.0 {
            if SHARED.iter().any(|(place, shared)| path.starts_with(place) && *shared == name) {
                continue;
            }
            if let Some(other) = first.get(&name) {
                let what = format!("`{name}` is the name of another type too");
                complaints.push(Complaint::new(path, what).at(line).detail(*other));
            } else {
                first.insert(name, path);
            }
        }
    }
    complaints
}

/// Public items without a doc comment. Fields and variants need none: a name that says it all is enough.
pub(super) fn check_documented(path: &str, source: &Source) -> Vec<Complaint> {
    source
        .items
        .iter()
        .flat_map(undocumented)
        .map(|(name, line)| {
            Complaint::new(path, format!("`{name}` is public and has no doc comment")).at(line)
        })
        .collect()
}

fn undocumented(item: &Item) -> Vec<(String, usize)> {
    let is_public = |visibility: &Visibility| matches!(visibility, Visibility::Public(_));
    let bare = |attributes: &[Attribute], name: &syn::Ident| {
        docs(attributes).is_empty().then(|| (name.to_string(), name.span().start().line))
    };
    let (visibility, name) = match item {
        Item::Const(item) => (&item.vis, &item.ident),
        Item::Enum(item) => (&item.vis, &item.ident),
        Item::Fn(item) => (&item.vis, &item.sig.ident),
        Item::Static(item) => (&item.vis, &item.ident),
        Item::Struct(item) => (&item.vis, &item.ident),
        Item::Type(item) => (&item.vis, &item.ident),
        Item::Union(item) => (&item.vis, &item.ident),
        Item::Trait(item) if is_public(&item.vis) => {
            let methods = item.items.iter().filter_map(|item| match item {
                TraitItem::Fn(method) => bare(&method.attrs, &method.sig.ident),
                _ => None,
            });
            return bare(&item.attrs, &item.ident).into_iter().chain(methods).collect();
        }
        Item::Impl(item) if item.trait_.is_none() => {
            let members = item.items.iter().filter_map(|item| match item {
                ImplItem::Const(member) if is_public(&member.vis) => bare(&member.attrs, &member.ident),
                ImplItem::Fn(member) if is_public(&member.vis) => bare(&member.attrs, &member.sig.ident),
                _ => None,
            });
            return members.collect();
        }
        // A module in a file of its own is documented there.
        Item::Mod(module) => {
            let Some((_, items)) = &module.content else { return Vec::new() };
            let own = bare(&module.attrs, &module.ident).filter(|_| is_public(&module.vis));
            return own.into_iter().chain(items.iter().flat_map(undocumented)).collect();
        }
        _ => return Vec::new(),
    };
    if is_public(visibility) { bare(attributes(item), name).into_iter().collect() } else { Vec::new() }
}

#[test]
fn duplicate_type_name_is_reported() {
    let complaints = |texts: &[(&str, &str)]| {
        let parsed: Vec<(&str, Source)> =
            texts.iter().map(|(path, text)| (*path, Source::parse(text))).collect();
        let found = check_unique(parsed.iter().map(|(path, source)| (*path, source)));
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let first = ("src/agent/plan.rs", "pub struct Report;");
    for twice in ["enum Report {}", "trait Report {}", "type Report = u8;", "fn f() {\n struct Report; }"] {
        assert_eq!(complaints(&[first, ("src/api/types.rs", twice)]).len(), 1, "{twice}");
    }
    assert_eq!(
        complaints(&[first, ("src/api/types.rs", "struct Report;")]),
        ["src/api/types.rs:1: `Report` is the name of another type too: src/agent/plan.rs"]
    );
    for once in ["impl Iterator for A { type Report = u8; }", "#[cfg(test)]\nmod tests { struct Report; }"] {
        assert_eq!(complaints(&[first, ("src/api/types.rs", once)]), Vec::<String>::new(), "{once}");
    }
    let args = [("src/bin/ctl/a.rs", "struct Args;"), ("src/bin/ctl/b.rs", "struct Args;")];
    assert_eq!(complaints(&args), Vec::<String>::new());
}

#[test]
fn public_items_need_a_doc_comment() {
    for (text, wanted) in [
        ("pub fn f() {}", 1),
        ("/// x\npub fn f() {}", 0),
        ("fn f() {}", 0),
        ("pub(crate) fn f() {}", 0),
        ("/// x\npub struct S { pub a: u8 }", 0),
        ("pub struct S;", 1),
        ("impl S { pub fn f() {} }", 1),
        ("impl T for S { fn f() {} }", 0),
        ("/// x\npub trait T { fn f(); }", 1),
        ("pub mod m;", 0),
        ("pub const C: u8 = 1;\npub type T = u8;", 2),
    ] {
        assert_eq!(check_documented("src/agent/plan.rs", &Source::parse(text)).len(), wanted, "{text}");
    }
}
