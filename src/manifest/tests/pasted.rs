//! Text that was copied from elsewhere: values without the quotes they need, comments that cut them, characters that look
//! like others, and forms of Compose.

use super::{Finding, refused, run, service, with_spec};
use crate::model::EnvValue;

#[test]
fn value_that_needs_quotes_is_suggested_in_quotes() {
    for (value, suggested) in [
        ("@daily", "'@daily'"),
        ("`date`", "'`date`'"),
        ("%d", "'%d'"),
        ("*.example.com", "'*.example.com'"),
        ("!important", "'!important'"),
        ("&x1", "'&x1'"),
        ("{{ .Values.image }}", "'{{ .Values.image }}'"),
        ("[info] ready", "'[info] ready'"),
        ("[0-9]", "'[0-9]'"),
        ("- x", "'- x'"),
        (",a", "',a'"),
        (">=1.2", "'>=1.2'"),
        ("error: it's bad", "'error: it''s bad'"),
        ("#fff", "'#fff'"),
        ("\u{201c}debug\u{201d}", "'debug'"),
    ] {
        let findings = run(&with_spec(&format!("image: a:1\nenv:\n  A: {value}\n  B: c"))).expect_err(value);
        let suggestions: Vec<&str> =
            findings.iter().filter_map(|found| found.problem.suggestion.as_deref()).collect();
        assert_eq!(suggestions, [suggested], "{value}: {findings:#?}");
        assert_eq!(findings.len(), 1, "{value}: {findings:#?}");
        // The suggestion is what was meant.
        let fixed = run(&with_spec(&format!("image: a:1\nenv:\n  A: {suggested}\n  B: c"))).expect(suggested);
        let meant = value.trim_start_matches('\u{201c}').trim_end_matches('\u{201d}');
        assert_eq!(service(&fixed[0]).env["A"], EnvValue::Text(meant.to_owned()));
    }
}

#[test]
fn unclosed_brackets_and_quotes_get_no_suggestion() {
    for value in ["[a, b", "{a: b", "\"open", "'open", "[*.a, b", "*known"] {
        let anchor = "labels: {x: &known y}";
        let text = with_spec(&format!("image: a:1\n{anchor}\nenv:\n  A: {value}\n"));
        let suggestions: Vec<Option<String>> = run(&text)
            .err()
            .unwrap_or_default()
            .iter()
            .map(|found| found.problem.suggestion.clone())
            .filter(Option::is_some)
            .collect();
        assert_eq!(suggestions, [], "{value}");
    }
}

#[test]
fn value_that_a_comment_cuts_is_noted() {
    let documents =
        run(&with_spec("image: a:1\nport: 80 #http\nhealth: /x\nenv:\n  A: abc #1\n  B: c # why")).unwrap();
    assert_eq!(
        documents[0].notes,
        ["line 10: `spec.env.A` is `abc`: ` #` begins a comment; if it belongs to the value, write 'abc #1'"]
    );
}

#[test]
fn characters_that_look_like_others_are_named_and_shown() {
    refused(&[
        (
            "image:\u{a0}a:1",
            &["6:3 spec | expected a map", "6:9 spec | the value contains a no-break space (U+00A0)"],
        ),
        (
            "im\u{200b}age: a:1",
            &[
                "6:3 spec.im\\u{200b}age | unknown field",
                "6:5 spec | the key `im\\u{200b}age` contains a zero-width space (U+200B)",
            ],
        ),
        (
            "image: a:1\nlabels: {\"a\u{a0}\": b}",
            &["7:14 spec.labels | the key `a\\u{a0}` contains a no-break space"],
        ),
        (
            "image: a:1\nenv: {A: b\u{a0}c}",
            &["7:13 spec.env.A | the value contains a no-break space (U+00A0)"],
        ),
        ("image: \"a:1\u{a0}\"", &["6:10 spec.image | `a:1\\u{a0}` contains a no-break space (U+00A0) | -"]),
        (
            "image: a:1\nvolumes: [{name: data, path: '/d\u{200b}'}]",
            &["7:32 spec.volumes[0].path | `/d\\u{200b}` contains a zero-width space (U+200B)"],
        ),
    ]);
    let name =
        "apiVersion: coxswain/v1\nkind: Service\nmetadata: {name: \"web\u{200b}\"}\nspec: {image: a:1}";
    let findings = run(name).unwrap_err();
    assert_eq!(findings[0].problem.message, "`web\\u{200b}` contains a zero-width space (U+200B)");
    // Within straight quotes, free text keeps them.
    let kept = run(&with_spec("image: a:1\nenv: {A: \"b\u{a0}c\", B: it\u{2019}s}")).unwrap();
    assert_eq!(service(&kept[0]).env["A"], EnvValue::Text("b\u{a0}c".to_owned()));
}

#[test]
fn syntax_error_names_a_character_that_may_be_its_cause() {
    let text = with_spec("image:\u{a0}a:1\nport: 80");
    let findings = run(&text).unwrap_err();
    let names_it =
        |found: &Finding| found.problem.message.contains("line 6 contains a no-break space (U+00A0)");
    assert!(findings.iter().any(names_it), "{findings:#?}");
    let text = with_spec("image: \"a:1\u{201d}\nport: 80");
    let findings = run(&text).unwrap_err();
    assert!(findings[0].problem.message.contains("line 6 contains a curly double quote"), "{findings:#?}");
}
