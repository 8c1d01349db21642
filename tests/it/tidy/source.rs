//! A Rust file as the checks read it: its items by `syn`, its paths by tokens, so that those inside macros count too.
//!
//! Items for tests (`#[cfg(test)]`, the feature `testing`) are left out of both.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, ImplItem, Item, Lit, Meta, Signature};

/// A Rust file without its tests.
pub(super) struct Source {
    /// The text of the `//!` lines.
    pub(super) header: String,
    pub(super) items: Vec<Item>,
    in_imports: Vec<CodePath>,
    in_code: Vec<CodePath>,
    /// Lines of the file that are not under `#[cfg(test)]`.
    pub(super) lines: usize,
    /// Modules in files of their own that exist only under `#[cfg(test)]`.
    pub(super) test_modules: BTreeSet<String>,
}

/// A path in code: `a::b::c`, or a single name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CodePath {
    pub(super) parts: Vec<String>,
    pub(super) line: usize,
    /// The name of a method or a field.
    pub(super) after_dot: bool,
    /// An opening parenthesis follows.
    pub(super) called: bool,
    /// A macro's `!` follows.
    pub(super) is_macro: bool,
}

/// A function with its length in lines, signature included.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) lines: usize,
}

impl Source {
    pub(super) fn parse(text: &str) -> Self {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{error} in:\n{text}"));
        let mut source = Self {
            header: docs(&file.attrs),
            items: Vec::new(),
            in_imports: Vec::new(),
            in_code: Vec::new(),
            lines: text.lines().count(),
            test_modules: BTreeSet::new(),
        };
        for mut item in file.items {
            if only_for_tests(attributes(&item)) {
                source.lines -= height(item.span());
                if let Item::Mod(module) = &item
                    && module.content.is_none()
                {
                    source.test_modules.insert(module.ident.to_string());
                }
                continue;
            }
            if let Item::Impl(block) = &mut item {
                let is_test = |item: &ImplItem| matches!(item, ImplItem::Fn(function) if only_for_tests(&function.attrs));
                source.lines -=
                    block.items.iter().filter(|i| is_test(i)).map(|i| height(i.span())).sum::<usize>();
                block.items.retain(|item| !is_test(item));
            }
            source.items.push(item);
        }
        let (imports, code): (Vec<&Item>, Vec<&Item>) =
            source.items.iter().partition(|item| matches!(item, Item::Use(_)));
        source.in_imports = paths_of(&imports);
        source.in_code = paths_of(&code);
        source
    }

    /// Every path, with the groups of `use` written out: `use a::{b, c::d}` gives `a::b` and `a::c::d`.
    pub(super) fn paths(&self) -> impl Iterator<Item = &CodePath> {
        self.in_imports.iter().chain(&self.in_code)
    }

    /// The paths outside `use` items.
    pub(super) fn paths_in_code(&self) -> impl Iterator<Item = &CodePath> {
        self.in_code.iter()
    }

    pub(super) fn functions(&self) -> Vec<Function> {
        let mut finder = Functions(Vec::new());
        self.items.iter().for_each(|item| finder.visit_item(item));
        finder.0
    }
}

struct Functions(Vec<Function>);

impl Functions {
    fn note(&mut self, signature: &Signature, block: &syn::Block) {
        let line = signature.span().start().line;
        let lines = block.span().end().line + 1 - line;
        self.0.push(Function { name: signature.ident.to_string(), line, lines });
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.note(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.note(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.note(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

fn height(span: proc_macro2::Span) -> usize {
    span.end().line + 1 - span.start().line
}

pub(super) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn only_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let Meta::List(list) = &attribute.meta else { return false };
        let condition = list.tokens.to_string();
        list.path.is_ident("cfg")
            && !condition.contains("not")
            && (condition.contains("test") || condition.contains("testing"))
    })
}

/// The text of `///` and `//!` lines, which the compiler reads as `#[doc = "…"]`.
pub(super) fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

struct Token {
    text: String,
    line: usize,
    is_word: bool,
}

fn paths_of(items: &[&Item]) -> Vec<CodePath> {
    let mut tokens = Vec::new();
    for item in items {
        flatten(quote::ToTokens::to_token_stream(item), &mut tokens);
    }
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        at = if tokens[at].is_word { path(&tokens, at, &[], &mut found) } else { at + 1 };
    }
    found
}

/// Tokens one after the other, brackets included. Literals and attributes' brackets carry no words.
fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let mut half_colon = false;
    for tree in stream {
        let line = tree.span().start().line;
        let mut push = |text: String, is_word: bool| tokens.push(Token { text, line, is_word });
        let second_colon = half_colon;
        half_colon = false;
        match tree {
            TokenTree::Ident(word) => push(word.to_string(), true),
            TokenTree::Punct(mark) if mark.as_char() == ':' && second_colon => push("::".to_owned(), false),
            TokenTree::Punct(mark) if mark.as_char() == ':' && mark.spacing() == Spacing::Joint => {
                half_colon = true
            }
            TokenTree::Punct(mark) => push(mark.to_string(), false),
            TokenTree::Literal(_) => push("\"".to_owned(), false),
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(open.to_owned(), false);
                flatten(group.stream(), tokens);
                let line = group.span_close().start().line;
                tokens.push(Token { text: close.to_owned(), line, is_word: false });
            }
        }
    }
}

/// Notes the path that starts here under its prefix; returns where it ends.
fn path(tokens: &[Token], start: usize, prefix: &[String], found: &mut Vec<CodePath>) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut parts = prefix.to_vec();
    let mut at = start;
    loop {
        parts.push(tokens[at].text.clone());
        at += 1;
        if text(at) != "::" {
            break;
        }
        at += 1;
        if text(at) == "{" {
            return group(tokens, at, &parts, found);
        }
        if !tokens.get(at).is_some_and(|token| token.is_word) {
            break;
        }
    }
    let after_dot = start > 0 && text(start - 1) == ".";
    let called = text(at) == "(";
    let is_macro = text(at) == "!" && matches!(text(at + 1), "(" | "[" | "{");
    found.push(CodePath { parts, line: tokens[start].line, after_dot, called, is_macro });
    at
}

fn group(tokens: &[Token], open: usize, prefix: &[String], found: &mut Vec<CodePath>) -> usize {
    let mut at = open + 1;
    while at < tokens.len() && tokens[at].text != "}" {
        at = if tokens[at].is_word { path(tokens, at, prefix, found) } else { at + 1 };
    }
    at + 1
}

fn joined<'a>(paths: impl Iterator<Item = &'a CodePath>) -> Vec<String> {
    paths.map(|path| path.parts.join("::")).collect()
}

#[test]
fn comments_and_literals_carry_no_paths_and_macros_do() {
    let source = Source::parse(
        "// crate::a\n/* crate::b /* x */ */ fn f<'a>(c: &'a str) -> char { let _ = \"crate::c\"; \
         let _ = r#\"\"crate::d\"#; let _ = '\"'; let _ = '\\''; m!(x, crate::e::f(b\"crate::g\")) }",
    );
    let crates: Vec<_> = source.paths().filter(|path| path.parts[0] == "crate").collect();
    assert_eq!(joined(crates.iter().copied()), ["crate::e::f"]);
    assert_eq!((crates[0].line, crates[0].called), (2, true));
}

#[test]
fn groups_of_use_are_written_out() {
    let source = Source::parse("use a::{self, b, c::{d, e as f}};\nfn g() {}");
    let wanted = ["use", "a::self", "a::b", "a::c::d", "a::c::e", "a::c::as", "a::c::f", "fn", "g"];
    assert_eq!(joined(source.paths()), wanted);
}

#[test]
fn items_for_tests_are_left_out() {
    let text = "fn a() {}\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n  fn b() {}\n}\n#[cfg(test)]\nmod fakes;\n\
                #[cfg(any(test, feature = \"testing\"))]\nmod rig;\nfn c() {}\n";
    let source = Source::parse(text);
    let names: Vec<String> = source.functions().into_iter().map(|function| function.name).collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(source.lines, 2);
    assert_eq!(source.test_modules, BTreeSet::from(["fakes".to_owned(), "rig".to_owned()]));
}

#[test]
fn functions_are_measured_from_signature_to_brace() {
    let source =
        Source::parse("trait T { fn none(&self, x: [u8; 2]); }\n/// x\nfn one() {}\nfn three(\n) {\n}\n");
    let lines: Vec<_> = source.functions().into_iter().map(|f| (f.name, f.line, f.lines)).collect();
    assert_eq!(lines, [("one".into(), 3, 1), ("three".into(), 4, 3)]);
}
