//! Rules that recognise a prompt as part of a text for another program, each with its consequence, its words and its remedy.

use crate::manifest::lints::signs::Signs;
use crate::manifest::lints::text_marks::{
    NUMERALS, is_address, is_bullet, is_command, is_file, is_file_name, is_lead_in, is_negative_label, is_number,
    is_numbered, is_polarity_label, is_prompt_label, is_setting, is_without_word,
};
use crate::manifest::lints::text_parts::{
    has_loose_end, has_tab, is_code_fence, is_conflict, is_csv_row, is_formula, is_header, is_json, is_json_part,
    is_markup, is_of_file, is_program, is_quoted, is_semicolon_row, is_separator, is_shell, is_sql, is_table_row,
    is_tex, is_timestamp, is_timestamped, is_yaml_head,
};
use crate::manifest::lints::text_rule::Verdict::{AtLeast, Mistake, Most, Warning};
use crate::manifest::lints::text_rule::{Rule, SeenText, rule};
use crate::manifest::lints::{infotext, switches};

const IN_COLUMNS: &str = "write a CSV or YAML manifest with a field for each of them";
const IN_BLOCKS: &str = "add --format blocks if prompts have several lines, or write a CSV manifest";
const ONE_PER_LINE: &str = "write each prompt on one line, and nothing else";
const FROM_JSON: &str = "keep the texts alone, one per line: jq -r '.[]' OLD > NEW.txt does so with a JSON list";

/// Rules, in the order in which the first match counts.
pub(super) const RULES: &[Rule] = &[
    rule(is_header, Mistake, "is the header of a table", "name the file .csv or .tsv, or add --format csv"),
    rule(is_yaml_head, Mistake, "is the beginning of a YAML manifest", "name the file .yaml, or add --format yaml"),
    rule(is_program, Mistake, "is the beginning of a program, a script or a dump", ONE_PER_LINE),
    rule(is_sql, Mistake, "is a statement of SQL", "write the rows to a CSV file"),
    rule(is_shell, Mistake, "is a command of a shell", ONE_PER_LINE),
    rule(is_tex, Mistake, "is a command of LaTeX", ONE_PER_LINE),
    rule(is_lead_in, Mistake, "only introduces a list", "remove it"),
    rule(
        is_json,
        Most(1),
        "is JSON",
        "name the file .jsonl if each line is an object; write a list one text per line: jq -r '.[]' OLD > NEW.txt",
    ),
    rule(is_json_part, Most(2), "is part of a JSON or Python list, with its punctuation", FROM_JSON),
    rule(
        is_prompt_switch,
        Mistake,
        "has a switch `--prompt`, as a command or a line for the script \"prompts from file\"",
        "add --format a1111 if all lines are for that script, or write a CSV manifest",
    ),
    rule(is_negative_label, Mistake, "is labelled as a negative prompt", IN_BLOCKS),
    rule(infotext::is_infotext, Mistake, "holds the generation data of an image, not its prompt alone", IN_COLUMNS),
    rule(
        is_polarity_label,
        AtLeast(2),
        "has a label such as `positive:` or `prompt:`, and the label is sent too",
        IN_BLOCKS,
    ),
    rule(is_code_fence, Mistake, "is a Markdown code fence", "remove it"),
    rule(is_conflict, Mistake, "is the mark of a merge conflict", "resolve the conflict"),
    rule(is_separator, Mistake, "only separates the lines around it", IN_BLOCKS),
    rule(is_timestamp, Mistake, "is a timestamp of subtitles", ONE_PER_LINE),
    rule(is_markup, Most(2), "is HTML or XML, with its tags", "keep the text alone"),
    rule(is_csv_row, Most(2), "is a row of cells in quotes", "name the file .csv, and give it a header"),
    rule(
        is_of_file,
        Most(2),
        "names a file beside its text",
        "write a CSV manifest with the columns `id` and `prompt`",
    ),
    rule(is_timestamped, Most(2), "begins with a time, which is sent too", "remove it"),
    rule(is_table_row, Most(2), "is a row of a Markdown table", "write a CSV manifest"),
    rule(has_tab, Most(2), "holds a tab, like a row of a table", "name the file .tsv, and give it a header"),
    rule(
        is_semicolon_row,
        Warning,
        "looks like a row of a table with semicolons",
        "if it is one, name the file .csv, and give it a header with a column `prompt`",
    ),
    rule(is_command, Mistake, "is a command to a chat bot", "keep the prompt alone, without the command"),
    rule(
        is_file,
        Mistake,
        "is the address of a file, and the file is not read",
        "write the prompts themselves, or `{from: prompts.txt}` in a YAML manifest",
    ),
    rule(is_address, Most(1), "is an address, which is not opened", "describe the image in words"),
    rule(is_file_name, Most(2), "is the name of a file, which is not read", "describe the image in words"),
    rule(switches::ends_in_switches, Most(1), "ends in switches of another program, such as `--ar 16:9`", IN_COLUMNS),
    rule(
        is_numbered,
        Most(2),
        "is numbered, and the number is sent too",
        "remove the numbers: sed -E -e 's/^[ #*([]*(（)?[0-9]{1,3}([].)*:]+ +| - |、|．|）) *//' -e 's/^[0-9]{1,3}\\.([^0-9 ])/\\1/' \
         -e 's/^((一|二|三|四|五|六|七|八|九|十)+、|①|②|③|④|⑤|⑥|⑦|⑧|⑨|⑩) *//' OLD > NEW",
    ),
    rule(
        is_bullet,
        Most(2),
        "is marked as an item of a list, and the mark is sent too",
        "remove the marks: sed -E 's/^ *(([-*>+]|•|–|·|●|▪) +|・ *)//' OLD > NEW",
    ),
    rule(is_prompt_label, Most(2), "is labelled as a prompt, and the label is sent too", "remove the labels"),
    rule(is_setting, AtLeast(2), "is labelled as a setting, and is sent as a prompt", IN_COLUMNS),
    rule(
        switches::has_switch,
        Warning,
        "has a switch of another program, such as `--no`, which is sent as text",
        "remove it",
    ),
    rule(is_formula, Warning, "looks like a formula of a spreadsheet, not its result", "save the values of the cells"),
    rule(has_loose_end, Warning, "ends in delimiters or a backslash, which are sent too", "remove them"),
    rule(is_quoted, Warning, "is in quotes, which are sent too", "remove them if they are not meant"),
    rule(is_number, Warning, "is only a number", "check that it describes an image"),
    rule(is_without_word, Warning, "has no letter or digit", "check that it describes an image"),
    rule(
        has_foreign_weight,
        Warning,
        "has a tag or weight of another program, such as `<lora:name:1>` or `cat::2`, which is sent as text",
        "name adapters in the field `loras`, and leave weights out",
    ),
];

fn is_prompt_switch(SeenText { text, .. }: SeenText<'_>) -> bool {
    const SWITCHES: [&str; 4] = ["--prompt", "--negative_prompt", "--negative-prompt", "--positive_prompt"];
    let follows = |rest: &str, all: &[char]| rest.starts_with(all);
    SWITCHES.iter().any(|switch| {
        // A switch inside the text has its value in quotes. Without them, a prompt may show a terminal.
        text.strip_prefix(switch).is_some_and(|rest| follows(rest, &[' ', '=', '"', '\'']))
            || text.match_indices(switch).any(|(at, _)| {
                let rest = text[at + switch.len()..].trim_start_matches([' ', '=']);
                follows(rest, &['"', '\'']) && text[..at].ends_with(' ')
            })
    })
}

fn has_foreign_weight(SeenText { text, .. }: SeenText<'_>) -> bool {
    let has_weight =
        || text.match_indices("::").any(|(at, _)| text[at + 2..].starts_with(|c: char| c.is_ascii_digit() || c == '-'));
    let is_emphasis = |inside: &str| {
        inside.rsplit_once(':').is_some_and(|(_, weight)| weight.contains('.') && weight.trim().parse::<f64>().is_ok())
    };
    let has_emphasis = || {
        text.match_indices('(')
            .any(|(at, _)| text[at + 1..].split_once(')').is_some_and(|(inside, _)| is_emphasis(inside)))
    };
    has_emphasis() || text.contains("<lora:") || text.contains("<lyco:") || text.contains("<hypernet:") || has_weight()
}

/// First words of statements and commands.
const SHELL_WORDS: [&str; 6] = ["INSERT ", "curl ", "wget ", "python", "pip ", "promptbatch "];

/// Returns whether no rule can match a text that is not the first.
pub(super) fn is_common(text: &str, signs: Signs) -> bool {
    let bytes = text.as_bytes();
    let [Some(first), Some(last)] = [bytes.first(), bytes.last()] else { return false };
    let is_letter = || {
        first.is_ascii_alphabetic()
            || !first.is_ascii() && text.starts_with(char::is_alphabetic) && !text.starts_with(NUMERALS)
    };
    let may_be_command =
        || matches!(first, b'I' | b'c' | b'w' | b'p') && SHELL_WORDS.iter().any(|word| text.starts_with(word));
    let has_loose_end = matches!(last, b'\\' | b',' | b';');
    is_letter() && !has_loose_end && !may_be_command() && !signs.may_be_foreign(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of each rule, in the order of the rules.
    const EXAMPLES: &[&[&str]] = &[
        &[
            "prompt",
            "prompt,seed",
            "id;Prompt;Negative Prompt",
            "\"prompt\"\t\"model\"",
            "prompt,style,artist",
            "提示词,步数",
        ],
        &["prompts:", "defaults:", "vars:", "- prompt: a cat"],
        &[
            "#!/bin/bash",
            "import torch",
            "from diffusers import FluxPipeline",
            "WEBVTT",
            "-- MySQL dump 10.13",
            "CREATE TABLE prompts (",
        ],
        &["INSERT INTO prompts VALUES (1, 'a cat');"],
        &["curl -X POST https://a.b/c", "python gen.py --n 5", "promptbatch run a.csv", "pip install torch", "$ ls -l"],
        &["\\begin{itemize}", "\\item a cat", "\\documentclass{article}"],
        &["Here are 10 prompts for you:", "Sure! Here are some ideas:", "以下是10个提示词："],
        &[
            "{\"prompt\": \"a cat\"}",
            "{\"text\":\"x\"},",
            "[\"a cat\", \"a dog\"]",
            "['a cat', 'a dog']",
            "prompts = [\"a\", \"b\"]",
        ],
        &[
            "[",
            "]",
            "{",
            "},",
            "],",
            "\"a cat\",",
            "'a dog',",
            "\"prompt\": \"a cat\",",
            "\"seed\": 5,",
            "prompts = [",
            "const prompts = [",
        ],
        &[
            "--prompt \"a cat\" --seed 5",
            "--prompt=\"a cat\"",
            "--negative_prompt \"text\" --prompt x",
            "txt2img --prompt \"a cat\" --W 512",
            "x --prompt='a cat'",
        ],
        &[
            "Negative prompt: blurry",
            "NEGATIVE PROMPT：text",
            "**Negative Prompt:** a cat",
            "负面提示词：文字",
            "neg prompt: x",
        ],
        &["Steps: 20, Sampler: Euler a, CFG scale: 7", "a cat\nNegative prompt: blurry"],
        &[
            "positive:a tram",
            "Negative: people",
            "正面：猫",
            "prompt: a cat",
            "[Negative]",
            "prompt = a cat",
            "User: a cat",
        ],
        &["```", "```text", "~~~"],
        &["<<<<<<< HEAD", ">>>>>>> theirs"],
        &["---", "=======", "* * *", "___", "────────", "|---|---|", "| :--- | ---: |"],
        &["00:00:01,000 --> 00:00:04,000", "0:01.000 --> 0:04.000"],
        &["<p>a cat</p>", "<item id=\"1\">a dog</item>"],
        &["\"a cat\",\"blurry\"", "\"a cat\",5,\"x\""],
        &["0001.png|a cat", "cat.png: a cat", "a cat -> cat.png", "img/1.jpg,a dog"],
        &["[00:12.00] a cat", "00:01:05 a dog"],
        &["| a cat | 5 |", "|a|b|"],
        &["a cat\t5"],
        &["a red kite;5;1024x768", "a cat;\"ink\""],
        &["/imagine prompt: a cat", "/imagine a cat", "!dream a cat", "/Draw a cat"],
        &["file://harbours.txt", "FILE:///tmp/a.txt"],
        &["https://example.com/a.png", "HTTP://a.b/c"],
        &["cat.png", "prompts/cat.txt", "C:\\art\\a.jpg"],
        &[
            "a cat --ar 16:9 --v 6",
            "a cat --no text, border --s 250",
            "a cat —ar 3:2",
            "a cat --seed 5",
            "a cat --steps 20 --cfg_scale 7",
            "a cat --ar=16:9",
            "a heron in reeds --w 768 --h 768 --d 1",
            "a heron --n low quality, worst quality --w 768 --h 768 --d 1 --l 7.5 --s 28",
            "a heron --ar 16:9 --style raw --exp 20",
            "a heron --ar 16:9 --unheard-of 20",
            "一只鹭 ——ar 16:9",
        ],
        &[
            "1. a cat",
            "2) a dog",
            "(3) a hare",
            "12.\ta heron",
            "4、一只猫",
            "[5] a bee",
            "**1.** a cat",
            "1: a cat",
            "1 - a cat",
            "①一只猫",
            "1.一只猫",
            "1.A red kite",
            "一、一只猫",
            "十二、一只猫",
        ],
        &["- a cat", "* a dog", "• a hare", "・猫", "> a heron", "- [ ] a bee"],
        &["Image: a cat", "Prompt 3: a dog", "**Prompt 4:** a hare", "提示词1：一只猫", "Image 2: a heron"],
        &["Seed: 5", "Size: 512x512", "Steps: 20", "CFG scale: 7", "seed = 5"],
        &["a cat, --no dogs", "a cat --tile"],
        &["=CONCAT(A1,B1)", "=A1&B1"],
        &["a cat,,,", "a cat;;", "a cat\\"],
        &["\"a cat\"", "“a cat”"],
        &["42", "3.5", "1,024"],
        &["...", "{}", "?!", "!!"],
        &["a cat <lora:ink:0.8>", "a cat::2 a dog::1", "(masterpiece:1.2), a fox"],
    ];

    fn of_rule(text: &str) -> Option<usize> {
        RULES.iter().position(|rule| (rule.is)(SeenText { text, is_first: true, is_line: true, is_typed: false }))
    }

    #[test]
    fn every_rule_finds_its_texts() {
        assert_eq!(EXAMPLES.len(), RULES.len());
        for (i, texts) in EXAMPLES.iter().enumerate() {
            for text in *texts {
                assert_eq!(of_rule(text), Some(i), "{text}: {:?}", of_rule(text).map(|i| RULES[i].what));
            }
        }
    }

    /// Goal: texts that only resemble a rule are left alone.
    #[test]
    fn prompts_that_are_meant_have_no_rule() {
        for text in [
            "a poster that says \"use --force\"",
            "a terminal that shows `git commit --amend`",
            "a man at a terminal, typing --prompt",
            "a cat -- asleep",
            "portrait -- oil on canvas",
            "an en-dash – here",
            "1 cat",
            "3.5 litres of milk",
            "1.x, a release poster",
            "一只猫、一只狗",
            "a fox (at 12:30)",
            "101 dalmatians",
            "2001: a space odyssey poster",
            "a 50/50 split",
            "-40 degrees, an icy street",
            "16:9 cinematic still of a harbour",
            "3D render, a teapot",
            "positive vibes only",
            "negative space, minimal",
            "a file:// address on a poster",
            "a sign that says https://example.com",
            "a man holding a sign that says 404",
            "a sign: no entry",
            "imagine a cat",
            "/r/pics",
            "a prompt, a seed",
            "prompt engineers at work",
            "\"quoted\" words",
            "\"to be\" or \"not to be\"",
            "*sigh*",
            "a {brace} and <b>",
            "Steps: a staircase",
            "step 1: a drawing of a ladder",
            "Size matters: a mouse and an elephant",
            "import beer advertisement, vintage",
            "from above, a harbour import terminal",
            "here are the cats",
            "std::vector, a neon sign",
            "猫",
            "🐈",
            "an arrow --> a target",
            "curl of smoke, http error neon",
            "a terminal that shows `run --unheard-of --size 5 --other`",
            "a heron – a study in grey",
            "python -- coiled around a branch",
            "E = mc2 on a blackboard",
            "user interface: a dashboard",
            "12:30, a station clock",
            "a cat, a dog; a hare",
            "= sign, neon",
            "a | b | c",
            "O'Brien's pub, 'best' beer",
            "C++ logo, 3 - 2 = 1",
        ] {
            assert_eq!(of_rule(text), None, "{text}: {:?}", of_rule(text).map(|i| RULES[i].what));
        }
    }

    #[test]
    fn no_text_of_a_rule_is_common() {
        // The first three rules match the first text only.
        for text in EXAMPLES.iter().skip(3).copied().flatten() {
            assert!(!is_common(text, Signs::of(text)), "{text}");
        }
    }
}
