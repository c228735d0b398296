//! Properties of every template.

use std::fmt::Write;

use proptest::prelude::*;

use super::*;
use crate::test_effort::cases;

/// Template as a tree, with the simplest method to make all its texts.
#[derive(Clone, Debug)]
enum Tree {
    Text(String),
    Row(Vec<Tree>),
    OneOf(Vec<Tree>),
    SomeOf(usize, usize, Vec<Tree>),
}

impl Tree {
    fn write(&self, out: &mut String) {
        let mut options = |begin: String, options: &[Self]| {
            out.push_str(&begin);
            for (i, option) in options.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "|" });
                option.write(out);
            }
            out.push('}');
        };
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Row(parts) => parts.iter().for_each(|part| part.write(out)),
            Self::OneOf(all) => options("{".to_owned(), all),
            Self::SomeOf(low, high, all) => options(format!("{{{low}-{high}$$+$$"), all),
        }
    }

    fn texts(&self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text.clone()],
            Self::Row(parts) => parts.iter().fold(vec![String::new()], |texts, part| {
                texts
                    .iter()
                    .flat_map(|text| part.texts().into_iter().map(move |more| format!("{text}{more}")))
                    .collect()
            }),
            Self::OneOf(options) => options.iter().flat_map(Self::texts).collect(),
            Self::SomeOf(low, high, options) => {
                let high = (*high).min(options.len());
                ((*low).min(high)..=high).flat_map(|k| taken(options, k)).map(joined).collect()
            }
        }
    }
}

/// Joins the texts; empty texts are left out.
fn joined(texts: Vec<String>) -> String {
    texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("+")
}

/// Lists all ways to choose `k` of the options, each with its texts.
fn taken(options: &[Tree], k: usize) -> Vec<Vec<String>> {
    if k == 0 {
        return vec![vec![]];
    }
    let Some((first, others)) = options.split_first() else { return vec![] };
    let with = first
        .texts()
        .into_iter()
        .flat_map(|text| taken(others, k - 1).into_iter().map(move |rest| [vec![text.clone()], rest].concat()));
    with.chain(taken(others, k)).collect()
}

/// Makes every text unique, so that no text is dropped as a duplicate.
fn numbered(tree: &mut Tree, n: &mut usize) {
    match tree {
        Tree::Text(text) => {
            write!(text, "{n}").expect("memory can be written");
            *n += 1;
        }
        Tree::Row(trees) | Tree::OneOf(trees) | Tree::SomeOf(_, _, trees) => {
            for tree in trees {
                numbered(tree, n);
            }
        }
    }
}

fn tree() -> impl Strategy<Value = Tree> {
    let text = "[a-c猫]{0,2}".prop_map(Tree::Text);
    let tree = text.prop_recursive(3, 12, 3, |inner| {
        let several = || prop::collection::vec(inner.clone(), 1..4);
        // Two options are the minimum: a subset of one choice would mean the options of that choice.
        let at_least_two = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            several().prop_map(Tree::Row),
            several().prop_map(Tree::OneOf),
            (0..3_usize, 0..4_usize, at_least_two).prop_map(|(low, more, options)| Tree::SomeOf(
                low,
                low + more,
                options
            )),
        ]
    });
    tree.prop_map(|mut tree| {
        numbered(&mut tree, &mut 0);
        tree
    })
}

/// Generates texts of special tokens in any order.
fn pieces() -> impl Strategy<Value = String> {
    let pieces = vec![
        "{",
        "}",
        "{{",
        "}}",
        "|",
        "$$",
        "2$$",
        "{1-2$$",
        "{0.5::",
        "::",
        "__",
        "__animal__",
        "__there__",
        "__of_vars__",
        "(",
        ")",
        "{animal}",
        "{place",
        "#",
        "# ",
        "\n",
        "\\",
        "${",
        "%{",
        "~",
        "@",
        "!",
        " ",
        "a",
        "猫",
        "7",
        "-",
        "_",
        "{|}",
        "{2$$__animal__}",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..30).prop_map(|pieces| pieces.concat())
}

/// Parses a text and checks the properties of the result.
fn read_any(syntax: Syntax, text: &str) -> Result<(), TestCaseError> {
    match parse(syntax, text) {
        Ok(template) => {
            prop_assert!(template.n() > 0);
            for i in [0, template.n() / 2, template.n() - 1] {
                template.text(i, &value);
            }
        }
        Err(flaws) => {
            prop_assert!(!flaws.is_empty() && flaws.is_sorted_by_key(|flaw| flaw.begin), "{flaws:?}");
            for TemplateFlaw { begin, end, wrong } in flaws {
                prop_assert!(begin < end && text.get(begin..end).is_some(), "{begin}..{end} of {text:?}");
                prop_assert!(!wrong.what.contains(char::is_control) && !wrong.remedy.contains(char::is_control));
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(500)))]

    /// Goal: the text at each index is right. Method: make all texts by plain recursion, and compare the lists.
    #[test]
    fn places_are_those_of_the_list_of_all_texts(tree in tree()) {
        let mut written = String::new();
        tree.write(&mut written);
        let template = parse(Syntax::Dynamic, &written).map_err(|flaws| TestCaseError::fail(format!("{written}: {flaws:?}")))?;
        let wanted = tree.texts();
        prop_assume!(wanted.len() < 10_000);
        prop_assert_eq!(texts(&template), wanted, "{}", written);
    }

    #[test]
    fn any_text_ends_in_a_template_or_flaws(text in any::<String>()) {
        read_any(Syntax::Plain, &text)?;
        read_any(Syntax::Dynamic, &text)?;
    }

    #[test]
    fn any_pieces_end_in_a_template_or_flaws(text in pieces()) {
        read_any(Syntax::Plain, &text)?;
        read_any(Syntax::Dynamic, &text)?;
    }

    /// Goal: doubled or escaped characters are literal. Method: double or escape any text, and compare the result with the text.
    #[test]
    fn any_text_can_be_written(text in any::<String>()) {
        let plain = parse(Syntax::Plain, &text.replace('{', "{{").replace('}', "}}"));
        prop_assert_eq!(texts(&plain.expect("braces are doubled")), std::slice::from_ref(&text));
        let text = text.replace('\\', "");
        let mut escaped = String::new();
        for c in text.chars() {
            escaped.extend("{}|#_$%".contains(c).then_some('\\'));
            escaped.push(c);
        }
        prop_assert_eq!(texts(&parse(Syntax::Dynamic, &escaped).expect("signs are escaped")), [text]);
    }
}
