//! Tests of the mistakes in YAML manifests and their lines.

use super::*;

#[test]
fn an_empty_manifest_is_a_mistake() {
    let remedy = "write a list under `prompts:`, for example `- a golden cat in the snow`";
    for (text, what) in [
        ("", "p: the manifest is empty"),
        ("\n\n", "p: the manifest is empty"),
        ("# nothing\n", "p: the manifest is empty"),
        ("---\n", "p: the manifest is empty"),
        ("~", "p: the manifest is empty"),
        ("[]", "p: the list of prompts is empty"),
        ("\nprompts: []", "p:2: the list of prompts is empty"),
        ("defaults: {n: 2}\n", "p:1: there is no `prompts`"),
        ("a cat", "p:1: the manifest is `a cat`, not a list"),
        ("42", "p:1: the manifest is the number 42, not a list"),
    ] {
        assert_eq!(yaml(text), Err(vec![format!("{what}; {remedy}")]), "{text:?}");
    }
}

#[test]
fn parts_of_the_manifest_that_are_not_what_they_should_be_are_refused() {
    let lines = "write each prompt on its own line, beginning with `- `";
    assert_mistakes(
        yaml,
        &[
            ("prompts:\n", &[&format!("p:1: `prompts` is null, not a list; {lines}")]),
            ("prompts: a cat\n", &[&format!("p:1: `prompts` is `a cat`, not a list; {lines}")]),
            ("prompts: {a: b}\n", &[&format!("p:1: `prompts` is a map, not a list; {lines}")]),
            (
                "defaults: [a]\nprompts: [a]\n",
                &["p:1: `defaults` is a list, not a map; write fields and values below it, such as `size: 1024x768`"],
            ),
            (
                "defaults:\n  prompt: a\n  id: b\nprompts: [a]\n",
                &[
                    "p:2: `prompt` belongs to one prompt, not to all of them; move it from `defaults:` to the prompt",
                    "p:3: `id` belongs to one prompt, not to all of them; move it from `defaults:` to the prompt",
                ],
            ),
            (
                "defaults:\n  seeds: 5\n  size: 5\nprompts: [a, {prompt: b, steps: 0}]\n",
                &[
                    "p:2: unknown field `seeds`; did you mean `seed`? \
                     else put it under `meta:` to carry it through, or `params:` to send it",
                    "p:3: `size` is `5`, not WIDTHxHEIGHT; \
                     write width and height in pixels, from 64x64 to 2048x2048, for example 1024x768",
                    "p:4: `steps` is 0, outside 1 to 100; write a whole number from 1 to 100",
                ],
            ),
            ("promts:\n- a\n", &["p:1: unknown field `promts`; did you mean `prompts`?"]),
            ("prompts: [a]\ndefault: {}\n", &["p:2: unknown field `default`; did you mean `defaults`?"]),
            (
                "prompts: [a]\nsize: 64x64\n",
                &["p:2: unknown field `size`; put it under `defaults:` to use it for all prompts"],
            ),
            (
                "x: 1\nprompts: [a]\n",
                &[
                    "p:1: unknown field `x`; next to `prompts` a manifest may have only `defaults`, `vars`, `syntax`, `price`, `shuffle`",
                ],
            ),
            (
                "prompt: a cat\nsize: 64x64\n",
                &[
                    "p:1: the manifest is one prompt, not a list; put `- ` in front of its first line, and indent the rest",
                ],
            ),
        ],
    );
}

#[test]
fn prompts_that_are_null_are_not_the_word_null() {
    let mistake = "`prompt` is null, not text; write the text, in quotes if it is meant to be the word null";
    for value in ["", "~", "null", "Null", "NULL", "!!null null"] {
        assert_eq!(yaml(&format!("- a\n- prompt: {value}\n")), Err(vec![format!("p:2: {mistake}")]), "{value:?}");
        assert_eq!(yaml(&format!("- a\n- {value}\n- b\n")), Err(vec![format!("p:2: {mistake}")]), "{value:?}");
    }
}

#[test]
fn entries_that_are_no_prompts_are_refused_with_their_lines() {
    let list = "this prompt is a list; write one text or one map; put a text in quotes if it begins with a bracket";
    assert_mistakes(
        yaml,
        &[
            (
                "- a\n- |\n  x\n\n  y\n- 42\n- \"a\n  b\"\n- true\n- a\n  b\n- 1.5\n",
                &[
                    "p:6: `prompt` is the number 42, not text; put it in quotes: prompt: \"42\"",
                    "p:9: `prompt` is `true`, not text; put it in quotes: prompt: \"true\"",
                    "p:12: `prompt` is the number 1.5, not text; put it in quotes: prompt: \"1.5\"",
                ],
            ),
            ("- a\n- [b, c]\n- - d\n", &[&format!("p:2: {list}"), &format!("p:3: {list}")]),
            (
                "- a\n- {}\n- []\n",
                &[
                    "p: entry 2: this entry has no prompt; describe the image, or remove the entry",
                    &format!("p: entry 3: {list}"),
                ],
            ),
            (
                "- ''\n- |\n",
                &[
                    "p:1: `prompt` is empty; describe the image, or remove the entry",
                    "p:2: `prompt` is empty; describe the image, or remove the entry",
                ],
            ),
            ("- size: 64x64\n", &["p:1: this entry has no prompt; describe the image, or remove the entry"]),
            (
                "- prompt: a\n  meta: [b]\n- prompt: b\n  meta: c\n",
                &[
                    "p:2: `meta` is a list, not a map; write names and values below it, such as `style: ink`",
                    "p:4: `meta` is `c`, not a map; write names and values below it, such as `style: ink`",
                ],
            ),
        ],
    );
}

#[test]
fn every_mistake_of_a_manifest_is_told_at_once() {
    assert_mistakes(
        yaml,
        &[(
            "# a comment\n- prompt: a\n  promt: b\n\n- size: 1024\n  prompt: |\n    two\n    lines\n  seed: -2\n  style: ink\n\
             - prompt: c\n  seed:\n    abc\n",
            &[
                "p:3: unknown field `promt`; did you mean `prompt`? \
                 else put it under `meta:` to carry it through, or `params:` to send it",
                "p:5: `size` is `1024`, not WIDTHxHEIGHT; write 1024x1024",
                "p:9: `seed` is -2, outside 0 to 2147483647; \
                 write a whole number from 0 to 2147483647, or `random` to have one drawn and recorded, or leave it out",
                "p:10: unknown field `style`; put it under `meta:` to carry it through, or `params:` to send it",
                "p:13: `seed` is `abc`, not a whole number; \
                 write a whole number from 0 to 2147483647, or `random` to have one drawn and recorded, or leave it out",
            ],
        )],
    );
}

#[test]
fn names_that_are_given_twice_are_refused_in_free_maps_too() {
    assert_mistakes(
        yaml,
        &[
            ("- prompt: a\n  seed: 1\n  seed: 1\n", &["p:3: `seed` is given twice, first on line 2; keep one of them"]),
            (
                "- prompt: a\n  meta:\n    x: 1\n\n    x: 2\n",
                &["p:5: `x` is given twice, first on line 3; keep one of them"],
            ),
            (
                "- prompt: a\n  params: {a: {b: 1, b: 2}}\n",
                &["p:2: `b` is given twice, first on line 2; keep one of them"],
            ),
            ("prompts: [a]\nprompts: [b]\n", &["p:2: `prompts` is given twice, first on line 1; keep one of them"]),
            (
                "- {prompt: a, 1: 2, \"1\": 3}\n",
                &[
                    "p:1: unknown field `1`; put it under `meta:` to carry it through, or `params:` to send it",
                    "p:1: `1` is given twice, first on line 1; keep one of them",
                ],
            ),
        ],
    );
}

#[test]
fn ids_that_two_entries_share_are_refused_with_both_lines() {
    assert_mistakes(
        yaml,
        &[
            (
                "- {prompt: a, id: x}\n- b\n- prompt: c\n  id: x\n",
                &["p:4: the id `x` is also used by line 1; give one of them another id"],
            ),
            (
                "- {prompt: a, id: 7}\n- {prompt: b, id: '7'}\n",
                &["p:2: the id `7` is also used by line 1; give one of them another id"],
            ),
        ],
    );
}

#[test]
fn a_mistake_in_an_anchor_is_told_where_it_is_and_once() {
    assert_mistakes(
        yaml,
        &[
            (
                "- &a\n  prompt: x\n  size: 1024\n- b\n- *a\n- <<: *a\n  prompt: c\n",
                &["p:3: `size` is `1024`, not WIDTHxHEIGHT; write 1024x1024"],
            ),
            (
                "- prompt: a\n  meta: &m {x: 1}\n- *m\n",
                &[
                    "p:2: unknown field `x`; put it under `meta:` to carry it through, or `params:` to send it",
                    "p: entry 2: this entry has no prompt; describe the image, or remove the entry",
                ],
            ),
        ],
    );
}

#[test]
fn merges_of_anything_but_maps_are_refused() {
    let remedy = "not a map; write the alias of a map after it: `<<: *name`";
    assert_mistakes(
        yaml,
        &[
            ("- prompt: x\n  <<: 5\n", &[&format!("p:2: `<<` merges the number 5, {remedy}")]),
            ("- prompt: x\n  <<: [[]]\n", &[&format!("p:2: `<<` merges a list, {remedy}")]),
        ],
    );
}

#[test]
fn what_yaml_allows_and_nobody_means_is_refused() {
    let tag = "has no meaning here; remove it, or put the text in quotes if it begins with `!`";
    assert_mistakes(
        yaml,
        &[
            ("- a\n- !cat b\n", &[&format!("p:2: the tag `!cat` {tag}")]),
            ("- !cat\n", &[&format!("p:1: the tag `!cat` {tag}")]),
            ("- !cat {prompt: a}\n", &[&format!("p:1: the tag `!cat` {tag}")]),
            ("- prompt: a\n  ? [b]\n  : c\n", &["p:2: a field's name is a list, not text; put its name in quotes"]),
            ("- prompt: a\n  ~: c\n", &["p:2: a field's name is null, not text; put its name in quotes"]),
            ("- a\u{85}--- b\n", &["p: there is a `---` in the middle of a line; put the text in quotes"]),
            (
                "- prompt: a\n  seed: 99999999999999999999\n",
                &[
                    "p:2: `seed` is 99999999999999999999, outside 0 to 2147483647; write a whole number from 0 to 2147483647, or `random` to have one drawn and recorded, or leave it out, or add --fold-seeds for a remainder",
                ],
            ),
            (
                "- prompt: a\n  params: {x: -9999999999999999999}\n",
                &[
                    "p:2: `x` in `params` holds the number -9999999999999999999, which is too large; write a smaller one, or put it in quotes",
                ],
            ),
            ("- a\n- b\u{7}c\n", &["p:2: this line holds the character U+0007, which YAML does not allow; remove it"]),
            ("- a\n- \0\n", &["p:2: this line holds the character U+0000, which YAML does not allow; remove it"]),
            ("- \"a\\u0007b\"\n", &["p:1: `prompt` holds the control character U+0007; remove it"]),
        ],
    );
}

#[test]
fn what_is_no_yaml_is_refused_in_words_for_prompts() {
    let second = "an unquoted text contains a second `: `; put the whole text in quotes, or check the indentation";
    let begins =
        "a text begins with a character that is special in YAML; put the text in quotes, and indent with spaces";
    let align = "this does not line up with the fields above, or continues after a closing quote or bracket; \
                 indent the fields of a prompt equally, and put whole texts in quotes";
    let anchor = "`*` repeats an anchor that is not above it; put the text in quotes if it begins with `*`";
    let open = "a bracket or brace is never closed, or closed without being opened; put the text in quotes";
    for (text, line, mistake) in [
        ("- a\n- prompt: cat: a portrait\n", 2, second),
        ("- prompt: a\n    size: 64x64\n", 2, second),
        (
            "- prompt: a\n size: 64x64\n",
            2,
            "this entry goes on after a closing quote, bracket or brace, or does not line up with the entries above; \
             put the whole text in quotes, or begin each prompt with `- ` in the same column and indent its fields equally",
        ),
        ("- a\n- prompt: [masterpiece] cat\n", 2, align),
        ("- prompt: \"a\" cat\n", 1, align),
        ("- a\n- **cat**\n", 2, "an unquoted text begins with `*`; put the text in quotes"),
        ("- a\n- *cat\n", 2, anchor),
        ("- prompt: a\n  <<: *none\n", 2, anchor),
        ("- & cat\n", 1, "an unquoted text begins with `&`; put the text in quotes"),
        ("- @cat\n", 1, begins),
        ("- `cat`\n", 1, begins),
        ("- %cat\n", 1, begins),
        ("- a\n- b\n\t- c\n", 3, "a tab is used to indent; indent with spaces"),
        ("- a\n- \"cat\n- b\n- c\n", 2, "a quote is opened here and never closed; close it"),
        ("- a\n- b\n- 'cat\n", 3, "a quote is opened here and never closed; close it"),
        (
            "- {prompt: a\n- b\n",
            2,
            "a bracket or brace is not closed, or a comma is missing; close it, or put the text in quotes",
        ),
        ("- a\n- [", 2, open),
        ("- a\n- ]\n", 2, open),
    ] {
        assert_eq!(yaml(text), Err(vec![format!("p:{line}: {mistake}")]), "{text:?}");
    }
}

#[test]
fn lines_are_those_of_an_editor() {
    let size = "`size` is `5`, not WIDTHxHEIGHT; \
                write width and height in pixels, from 64x64 to 2048x2048, for example 1024x768";
    for (text, line) in [
        ("- {prompt: 猫猫猫, size: 5}\n", 1),
        ("\u{feff}- a\r\n- prompt: b\r\n  size: 5\r\n", 3),
        ("- a\r- prompt: b\r  size: 5\r", 3),
        ("- \"a\u{2028}\u{2029}\u{85}b\"\n- {prompt: c, size: 5}\n", 2),
        ("---\n# x\n\n- prompt: >-\n    a\n\n    b\n  size: 5\n", 8),
        ("- prompt: a\n  size:\n\n    5\n", 4),
        ("[a,\n {prompt: b,\n  size: 5}]", 3),
    ] {
        let told = yaml(text).expect_err("the size is wrong");
        assert_eq!(told.last(), Some(&format!("p:{line}: {size}")), "{text:?}");
    }
}
