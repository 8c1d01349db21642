//! Sizes of files and functions, and habits that make code short instead of plain.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Expr, Pat};

use super::Complaint;
use super::source::Source;

/// A file has fewer lines than this, tests aside.
const FILE_LINES: usize = 300;
/// Lines of a function.
const FUNCTION_LINES: usize = 60;

pub(super) fn check(path: &str, source: &Source) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    if source.lines >= FILE_LINES {
        let what = format!("{FILE_LINES} lines or more; split it");
        complaints.push(Complaint::new(path, what).detail(source.lines.to_string()));
    }
    for function in source.functions() {
        if function.lines > FUNCTION_LINES {
            let what = format!("`{}` has more than {FUNCTION_LINES} lines; split it", function.name);
            complaints.push(Complaint::new(path, what).at(function.line).detail(function.lines.to_string()));
        }
    }
    let mut habits = Habits { path, complaints };
    source.items.iter().for_each(|item| habits.visit_item(item));
    habits.complaints
}

struct Habits<'a> {
    path: &'a str,
    complaints: Vec<Complaint>,
}

impl Habits<'_> {
    fn complain(&mut self, what: &str, span: proc_macro2::Span) {
        self.complaints.push(Complaint::new(self.path, what).at(span.start().line));
    }
}

impl<'ast> Visit<'ast> for Habits<'_> {
    fn visit_local(&mut self, local: &'ast syn::Local) {
        if let (Pat::Tuple(_), Some(init)) = (&local.pat, &local.init)
            && init.diverge.is_none()
            && matches!(*init.expr, Expr::Tuple(_))
        {
            self.complain("`let (a, b) = (x, y)`: one binding a line", local.span());
        }
        visit::visit_local(self, local);
    }

    fn visit_expr_assign(&mut self, assign: &'ast syn::ExprAssign) {
        if matches!((&*assign.left, &*assign.right), (Expr::Tuple(_), Expr::Tuple(_))) {
            self.complain("`(a, b) = (x, y)`: one assignment a line", assign.span());
        }
        visit::visit_expr_assign(self, assign);
    }

    fn visit_expr_match(&mut self, matching: &'ast syn::ExprMatch) {
        if matches!(&*matching.expr, Expr::Tuple(tuple) if tuple.elems.is_empty()) {
            self.complain("`match ()`: write `if` and `else`", matching.span());
        }
        visit::visit_expr_match(self, matching);
    }
}

/// The complaints about a file of this text, each without the path.
fn complaints(text: &str) -> Vec<String> {
    check("a.rs", &Source::parse(text))
        .iter()
        .map(|c| c.to_string().trim_start_matches("a.rs:").to_owned())
        .collect()
}

#[test]
fn sizes_above_limits_are_reported() {
    let body = |lines: usize| format!("//! x\nfn f() {{\n{}}}\n", "    f();\n".repeat(lines));
    assert_eq!(complaints(&body(58)), Vec::<String>::new());
    assert_eq!(complaints(&body(59)), ["2: `f` has more than 60 lines; split it: 61"]);
    let file = |lines: usize| format!("//! x\n{}", "// y\n".repeat(lines));
    assert_eq!(complaints(&file(298)), Vec::<String>::new());
    assert_eq!(complaints(&file(299)), [" 300 lines or more; split it: 300"]);
}

#[test]
fn packed_bindings_and_empty_matches_are_reported() {
    for (body, wanted) in [
        ("let (a, b) = (1, 2);", 1),
        ("let (a, b) = f();", 0),
        ("let (Some(a), Some(b)) = (x, y) else { return };", 0),
        ("(a, b) = (b, a);", 1),
        ("match () { () if x => {} () => {} }", 1),
        ("match (a, b) { _ => {} }", 0),
        ("if let (Some(a), Some(b)) = (x, y) {}", 0),
    ] {
        assert_eq!(complaints(&format!("fn f() {{ {body} }}")).len(), wanted, "{body}");
    }
}
