//! Tests of the dynamic syntax.

use super::*;

fn dynamic(written: &str) -> Template {
    parse(Syntax::Dynamic, written).unwrap_or_else(|flaws| panic!("{written}: {flaws:?}"))
}

/// Formats the flaws of a text in dynamic syntax.
fn wrongs(written: &str) -> Vec<String> {
    flaws(Syntax::Dynamic, written)
}

fn check(written: &str, meant: &[&str]) {
    assert_eq!(texts(&dynamic(written)), meant, "{written}");
}

#[test]
fn one_of_several_options() {
    check("", &[""]);
    check("a cat", &["a cat"]);
    check("{a|b|c}", &["a", "b", "c"]);
    check("{a|b} {c|d}!", &["a c!", "a d!", "b c!", "b d!"]);
    check("{a|b {c|d}}", &["a", "b c", "b d"]);
    check("a {big |}cat", &["a big cat", "a cat"]);
    check("{|a}", &["", "a"]);
    check("{}", &[""]);
    check("{{a}}", &["a"]);
    check("{a|a|b}", &["a", "b"]);
    check("{猫|狗}。", &["猫。", "狗。"]);
}

#[test]
fn outside_of_braces_these_signs_mean_themselves() {
    for text in ["a } b", "a|b", "a::b", "(a:1.2) [b|c] <lora:x:1>", "100$ $5 50% $$ a_b", "\\(a\\) \\n \\\\"] {
        check(text, &[text]);
    }
    check("{cat::2|x::y|16:9}", &["cat::2", "x::y", "16:9"]);
}

#[test]
fn several_of_several_options_in_their_order() {
    check("{2$$a|b|c}", &["a, b", "a, c", "b, c"]);
    check("{2$$ and $$a|b|c}", &["a and b", "a and c", "b and c"]);
    check("{2$$|$$a|b}", &["a|b"]);
    check("{2$$$$a|b}", &["ab"]);
    check("{ 2 $$ a | b }", &["a, b"]);
    check("{!2$$a|b}", &["a, b"]);
    check("{1-2$$a|b|c}", &["a", "b", "c", "a, b", "a, c", "b, c"]);
    check("{-2$$a|b}", &["a", "b", "a, b"]);
    check("{2-$$a|b|c}", &["a, b", "a, c", "b, c", "a, b, c"]);
    check("{3-2$$a|b|c}", &["a, b", "a, c", "b, c", "a, b, c"]);
    check("{0-1$$a|b}", &["", "a", "b"]);
    check("x{0$$a|b}", &["x"]);
    check("{5$$a|b}", &["a, b"]);
    check("{99999999999999999999999$$a|b}", &["a, b"]);
    check("{2$$a|{b|c}}", &["a, b", "a, c"]);
    check("{2$$a|a|b}", &["a, b"]);
    check("{2$$a||b}", &["a", "a, b", "b"]);
}

/// Goal: indices are resolved by counting, without enumeration. Method: numbers of texts that no list could hold.
#[test]
fn huge_numbers_of_texts_are_counted_and_never_made() {
    let decimal = dynamic(&"{0|1|2|3|4|5|6|7|8|9}".repeat(18));
    assert_eq!(decimal.n(), 1_000_000_000_000_000_000);
    assert_eq!(decimal.text(123_456_789_012_345_678, &value), "123456789012345678");
    let beyond = dynamic(&"{0|1|2|3|4|5|6|7|8|9}".repeat(40));
    assert_eq!(beyond.n(), u64::MAX);
    assert_eq!(beyond.text(u64::MAX - 1, &value), format!("{:040}", u64::MAX - 1));
    let options: Vec<_> = (0..100).map(|i| i.to_string()).collect();
    let ten = dynamic(&format!("{{10$${}}}", options.join("|")));
    assert_eq!(ten.n(), 17_310_309_456_440);
    assert_eq!(ten.text(0, &value), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9");
    assert_eq!(ten.text(ten.n() - 1, &value), "90, 91, 92, 93, 94, 95, 96, 97, 98, 99");
    let fifty = dynamic(&format!("{{50$${}}}", options.join("|")));
    assert_eq!(fifty.n(), u64::MAX);
    assert!(fifty.text(u64::MAX - 1, &value).starts_with("0, 1, 2, "));
}

#[test]
fn weights_are_read_and_do_not_count() {
    check("{0.5::a|b|.3::c|2::|1e1:: d}", &["a", "b", "c", "", " d"]);
    assert!(dynamic("x {a|{2::b|c}}").has_weights());
    assert!(dynamic("__weighted__").has_weights());
    assert!(!dynamic("{a|b} a::b").has_weights());
    for weight in ["0", "-1", "-0.5", "1-2", "1e999", "5e"] {
        let flaw = format!(
            "{weight}::: the weight `{weight}` is not a positive number; write one such as `0.5::` or `2::`, or remove the option"
        );
        assert_eq!(wrongs(&format!("{{a|{weight}::b}}")), [flaw]);
    }
}

#[test]
fn wildcards_are_templates_themselves() {
    check("a __animal__!", &["a cat!", "a dog!", "a red fox!", "a grey fox!"]);
    check("{x|__size/small__}", &["x", "tiny"]);
    check("__animal*__", &["cat", "ant"]);
    check("__ animal* ____size/small__", &["cattiny", "anttiny"]);
    check("__!animal*__", &["cat", "ant"]);
    check("{2$$__animal__}", &["cat, dog", "cat, red fox", "cat, grey fox", "dog, red fox", "dog, grey fox"]);
    check("{2$$__animal*__|x}", &["cat, x", "ant, x"]);
    check("__weighted__", &["a", "b"]);
}

#[test]
fn a_wildcard_is_asked_for_once_and_again_when_the_vars_change() {
    let (mut table, mut known) = (table(), WildcardCache::default());
    let mut read = |vars: &[&str]| {
        let vars = vars.iter().map(|name| (*name).to_owned()).collect();
        let mut reading = Reading { syntax: Syntax::Dynamic, vars: &vars, wildcards: &mut table, known: &mut known };
        let template = parse_template("__of_vars__ __of_vars__", &mut reading).expect("it has no flaw");
        (template.vars().len(), table.1.len())
    };
    assert_eq!(read(&["animal", "place"]), (2, 1));
    assert_eq!(read(&["animal", "place"]), (2, 1));
    assert_eq!(read(&["place"]), (1, 2));
}

/// Goal: a wildcard that is too deep in one position is accepted in another. Method: use it at the depth limit, and then alone.
#[test]
fn a_wildcard_is_refused_for_where_it_stands_only_there() {
    let (mut table, mut known, vars) = (table(), WildcardCache::default(), BTreeSet::new());
    let mut read = |text: &str| {
        let (wildcards, known) = (&mut table, &mut known);
        parse_template(text, &mut Reading { syntax: Syntax::Dynamic, vars: &vars, wildcards, known })
    };
    let within = |n_braces: usize| format!("{}__animal__{}", "{x|".repeat(n_braces), "}".repeat(n_braces));
    for n_braces in [31, 32] {
        assert!(read(&within(n_braces)).is_err(), "{n_braces}");
        assert_eq!(read("__animal__").expect("it is not deep here").n(), 4);
    }
    assert_eq!(read(&within(30)).expect("it is just deep enough").n(), 34);
}

#[test]
fn vars_are_replaced_wherever_they_stand() {
    check("{animal} {x|{place}}", &["<owl> x", "<owl> <bay>"]);
    check("{ animal }", &["<owl>"]);
    check("{animal|place}", &["animal", "place"]);
    check("__of_vars__", &["<bay>", "<owl> in <bay>"]);
    assert_eq!(dynamic("__of_vars__ {animal}").vars(), ["place", "animal"]);
    assert_eq!(
        wrongs("{animl}"),
        ["{animl}: no var is called `animl`; did you mean `animal`? write `\\{animl\\}` for literal braces"]
    );
}

#[test]
fn a_backslash_takes_the_meaning_away() {
    check("\\{a\\|b\\} {a\\|b|c\\}}", &["{a|b} a|b", "{a|b} c}"]);
    check("\\__animal\\__ \\#1 \\${x|y} \\%{z}", &["__animal__ #1 $x %z", "__animal__ #1 $y %z"]);
    check("\\\\{a\\}", &["\\{a}"]);
}

#[test]
fn what_is_not_read_or_not_meant_is_told() {
    for (written, flaw) in [
        ("a {b|{c}", "{: a `{` is never closed; close it with `}`, or write `\\{` for a literal brace"),
        (
            "${x=a}",
            "${: `${` begins a variable of dynamic prompts, which is not supported; give it under `vars` and write `{name}`, or `\\$` for a literal dollar sign",
        ),
        (
            "%{a$$b}",
            "%{: `%{` begins a wrap of dynamic prompts, which is not supported; write both parts out, or `\\%` for a literal percent sign",
        ),
        (
            "{~a|b}",
            "~: `~` asks for a separate sampler for a choice, which is not supported; remove it: `expand` decides how everything is combined",
        ),
        (
            "__@animal__",
            "@: `@` asks for a separate sampler for a wildcard, which is not supported; remove it: `expand` decides how everything is combined",
        ),
        (
            "{a$$b|c}",
            "$$: `$$` has no count before it; write the count after the brace, as in `{2$$a|b|c}`, or `\\$\\$` for literal dollar signs",
        ),
        (
            "{-$$a|b}",
            "$$: `$$` has no count before it; write the count after the brace, as in `{2$$a|b|c}`, or `\\$\\$` for literal dollar signs",
        ),
        (
            "a __b c",
            "__: `__` opens a wildcard that is never closed; write `__name__`, or `\\__` for literal underscores",
        ),
        (
            "{__b|c__}",
            "__: `__` opens a wildcard that is never closed; write `__name__`, or `\\__` for literal underscores",
        ),
        (
            "a ____ b",
            "__: `__` and `__` have no name between them; write `__name__`, or `\\__` for literal underscores",
        ),
        ("__animal(x=1)__", "__: the parameters of a wildcard are not supported; write the texts out"),
        ("__{a|b}__", "__: a wildcard with choices in its name is not supported; write a choice of wildcards"),
        ("__nowhere__", "__nowhere__: there is no nowhere.txt; write it"),
        (
            "__cyclic__",
            "__cyclic__: in the text `__cyclic__` of the wildcard `cyclic`, the wildcard `cyclic` contains itself: `cyclic` -> `cyclic`; remove it there",
        ),
        (
            "__open__",
            "__open__: in the text `{b` of the wildcard `open`, a `{` is never closed; close it with `}`, or write `\\{` for a literal brace",
        ),
    ] {
        let told = wrongs(written);
        assert_eq!(told[0], flaw, "{written}");
        assert!(told.len() == 1 || written == "{__b|c__}", "{told:?}");
    }
    assert_eq!(wrongs("__there__ __back__ {~__cyclic__ ${a} #1").len(), 7);
}

/// Goal: no input exhausts the stack, the time or the memory. Method: very long input of every kind.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn far_too_much_is_refused() {
    let deep = "choices are nested more than 32 deep";
    for text in ["{".repeat(200_000), "{a|".repeat(200_000), "a {1-2$$ {".repeat(200_000)] {
        let flaws = parse(Syntax::Dynamic, &text).expect_err("it is too deep");
        assert_eq!(flaws[0].wrong.what, deep);
        assert_eq!(flaws.len(), 1);
    }
    for text in ["${", "$$", "__(", "__ |", "#1", "{a$$|}", "{~}", "____"] {
        let flaws = parse(Syntax::Dynamic, &format!("{{{}", text.repeat(100_000))).expect_err("it means nothing");
        assert!(flaws.len() <= FLAWS_MAX, "{text}");
    }
    for text in ["}", "\\{", "{}", "{a|b}", "# \n", "__animal__", "{animal}", "{1$$a"] {
        let _ = parse(Syntax::Dynamic, &text.repeat(200_000));
    }
    // Flaws inside a list must not change the depth of the text after it.
    let after = format!("{}{}a|b{}", "__open__".repeat(40), "{".repeat(32), "}".repeat(32));
    assert!(parse(Syntax::Dynamic, &after).expect_err("a list is bad").iter().all(|flaw| flaw.wrong.what != deep));
    let at_the_limit = format!("{}a|b{}", "{".repeat(32), "}".repeat(32));
    assert_eq!(dynamic(&at_the_limit).n(), 2);
    let options = vec!["a"; 3_000].iter().enumerate().map(|(i, a)| format!("{a}{i}")).collect::<Vec<_>>().join("|");
    assert_eq!(
        parse(Syntax::Dynamic, &format!("{{1-$${options}}}")).expect_err("it is too much")[0].wrong.what,
        "there are too many ways to choose that many of 3000 options"
    );
}

/// Goal: small lists cannot make an endless text. Method: each list names the next one twice, so that a text has 2^40 words.
#[test]
fn lists_that_double_are_refused() {
    struct Doubling(&'static str);
    impl Wildcards for Doubling {
        fn values(&mut self, name: &str) -> Result<Arc<[String]>, Issue> {
            let i: u32 = name.parse().expect("it is a number");
            let last = [self.0.to_owned(), "{0$$a}".to_owned()];
            Ok(if i == 0 { last.into() } else { [format!("__{0}____{0}__", i - 1)].into() })
        }
    }
    for text in ["word ", ""] {
        let mut known = WildcardCache::default();
        let vars = BTreeSet::new();
        let mut wildcards = Doubling(text);
        let mut read = |text: &str| {
            let (vars, wildcards, known) = (&vars, &mut wildcards, &mut known);
            parse_template(text, &mut Reading { syntax: Syntax::Dynamic, vars, wildcards, known })
        };
        assert!(read("__10__").expect("it is short").n() > 1);
        // Order is from the inside out, so that no list is read within many others.
        let refused = (10..40).find_map(|i| read(&format!("__{i}__")).err()).expect("it is too long");
        assert!(
            refused[0].wrong.what.contains("the longest text of this has more than a million characters"),
            "{refused:?}"
        );
    }
}

#[test]
fn comments_end_with_their_line() {
    check("a # no\nb", &["a\nb"]);
    check("# no\na\n  # no\nb", &["a\nb"]);
    check("a #", &["a"]);
    check("{\n  # 60% of them\n  0.6::a\n  |\n  # | c\n  b # no\n}!", &["a!", "b!"]);
    assert_eq!(
        wrongs("best #1"),
        [
            "#: `#` begins a comment here, but it looks like part of the text; write `\\#` for a literal `#`, or add a space after it for a comment"
        ]
    );
}

#[test]
fn spaces_stay_but_for_those_around_line_breaks() {
    check(" a  { b | c } ", &[" a   b  ", " a   c  "]);
    check("\n{\n a b \n|c\n}\n", &["\na b\n", "\nc\n"]);
}
