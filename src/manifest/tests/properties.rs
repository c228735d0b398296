//! Properties of every manifest.

use std::fmt::Write;

use proptest::prelude::*;

use super::*;
use crate::manifest::fields::parse::is_invisible;
use crate::test_effort::cases;

/// Opens a manifest and checks the properties of the result.
fn open_any(name: &str, bytes: &[u8]) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("a file can be written there");
    // Counts all LF and CR bytes. In UTF-16 every line end contains such a byte, and so do some characters.
    let n_lines = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() as u64 + 1;
    let n_lines = if bytes.starts_with(b"\x1f\x8b") { u64::MAX } else { n_lines };
    let is_within = |mistake: &Diagnostic| mistake.line().is_none_or(|line| (1..=n_lines).contains(&line));
    match open(Source { path, default_model: Some(MODEL.into()), ..Source::default() }) {
        Ok(manifest) => {
            prop_assert!(manifest.warnings().iter().all(is_within), "{:?}", manifest.warnings());
            let n_drafts = manifest.drafts().expect("the file is the same").flatten().take(1_000).count();
            prop_assert_eq!(n_drafts as u64, manifest.n_jobs().min(1_000));
        }
        Err(error) => {
            prop_assert!(!error.mistakes().is_empty(), "{error}");
            prop_assert!(error.mistakes().iter().all(is_within), "{error}");
            prop_assert!(!error.to_string().contains(|c: char| c.is_control() && c != '\n'), "{error}");
        }
    }
    Ok(())
}

/// File names, one for each format.
const NAMES: [&str; 5] = ["p.yaml", "p.csv", "p.tsv", "p.jsonl", "p.txt"];

/// Generates texts of typical manifest tokens in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "- ",
            "  ",
            "\n",
            "\r\n",
            ": ",
            "prompt: ",
            "\n- prompt: ",
            "\n  size: ",
            "\n  meta: ",
            "defaults:",
            "prompts:\n",
            "{",
            "}",
            "[",
            "]",
            ", ",
            ",",
            "\"",
            "\"\"",
            "'",
            "|\n",
            ">-\n",
            " #",
            "#x",
            "&a ",
            "*a",
            "<<: ",
            "!t ",
            "!!str ",
            "~",
            "---\n",
            "...\n",
            "%YAML 1.2\n",
            "\t",
            "? ",
            "\u{feff}",
            "\u{2028}",
            "\u{85}",
            "\u{7}",
            "猫",
            "a cat",
            "42",
            "64x64",
            "1.5",
            "n: ",
            "id: ",
            "seed,",
            "prompt,n\n",
            "prompt\tn\n",
            "\n---\n",
            "{\"prompt\": \"a\"",
            "\"meta\": {",
            "\"n\": ",
            "sep=;\n",
        ]),
        "[ -~]{1,3}".prop_map(|text| &*text.leak()),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

/// Generates valid prompts: any characters except control characters, with line breaks.
fn drawable() -> impl Strategy<Value = String> {
    "[\\PC\n\t]{1,60}".prop_filter("it must say something", |text| {
        !text.chars().all(is_invisible) && !text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t'))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(500)))]

    #[test]
    #[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
    fn any_bytes_end_in_drafts_or_mistakes(bytes in any::<Vec<u8>>()) {
        for name in NAMES {
            open_any(name, &bytes)?;
        }
    }

    #[test]
    fn any_text_ends_in_drafts_or_mistakes(text in any::<String>()) {
        for name in NAMES {
            open_any(name, text.as_bytes())?;
        }
    }

    #[test]
    #[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
    fn any_pieces_end_in_drafts_or_mistakes(text in pieces()) {
        for name in NAMES {
            open_any(name, text.as_bytes())?;
        }
        open_any("p.csv", format!("prompt,n\n{text}").as_bytes())?;
        open_any("p.tsv", format!("prompt\tn\n{text}").as_bytes())?;
        open_any("p.jsonl", format!("{{\"prompt\": \"a\", {text}").as_bytes())?;
        open_any("p.yaml", format!("- prompt: a\n- {text}").as_bytes())?;
    }

    /// Goal: damaged compressed or encoded data is never read as text. Method: change any byte of such a file.
    #[test]
    fn any_damage_ends_in_drafts_or_mistakes(text in pieces(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let text = format!("prompt,n\n一只猫,1\n{text}");
        let (gb, _, _) = encoding_rs::GB18030.encode(&text);
        let utf16: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        for mut bytes in [inputs::gzip(text.as_bytes()), gb.into_owned(), utf16] {
            open_any("p.csv", &bytes)?;
            let at = at.index(bytes.len());
            bytes[at] = byte;
            open_any("p.csv", &bytes)?;
        }
    }

    #[test]
    #[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
    fn prompts_that_the_csv_crate_writes_are_read_char_for_char(wanted in prop::collection::vec(drawable(), 1..20)) {
        for (terminator, name, delimiter) in [
            (csv::Terminator::Any(b'\n'), "p.csv", b','),
            (csv::Terminator::CRLF, "p.csv", b';'),
            (csv::Terminator::Any(b'\n'), "p.tsv", b'\t'),
            (csv::Terminator::CRLF, "p.tsv", b'\t'),
        ] {
            let mut writer = csv::WriterBuilder::new();
            let mut writer = writer.terminator(terminator).delimiter(delimiter).from_writer(Vec::new());
            writer.write_record(["nr", "prompt"]).expect("memory can be written");
            for (i, prompt) in wanted.iter().enumerate() {
                writer.write_record([i.to_string().as_str(), prompt]).expect("memory can be written");
            }
            let bytes = writer.into_inner().expect("memory can be written");
            let told = verbatim(name, &bytes).map_err(|mistakes| TestCaseError::fail(format!("{mistakes:?}")))?;
            let read: Vec<String> = told.drafts.into_iter().map(|draft| draft.request.prompt).collect();
            prop_assert_eq!(&read, &wanted, "{}", name);
        }
    }

    #[test]
    fn prompts_that_the_yaml_crate_writes_are_read_char_for_char(wanted in prop::collection::vec(drawable(), 1..20)) {
        let text = serde_yaml::to_string(&wanted).expect("texts can be written");
        let told = verbatim("p.yaml", text.as_bytes()).map_err(|mistakes| TestCaseError::fail(format!("{mistakes:?} in {text:?}")))?;
        prop_assert_eq!(&told.drafts.into_iter().map(|draft| draft.request.prompt).collect::<Vec<_>>(), &wanted);
        // Without that option a text may be refused, and is never changed.
        if let Ok(told) = yaml(&text) {
            prop_assert_eq!(told.drafts.into_iter().map(|draft| draft.request.prompt).collect::<Vec<_>>(), wanted);
        }
    }

    /// Goal: `n` makes the right number of images, and their seeds count up. Method: compare with a plain sum and plain ranges.
    #[test]
    fn images_add_up(rows in prop::collection::vec((1_u32..=20, prop::option::of(0_u64..1_000)), 1..20)) {
        let mut text = "prompt,n,seed\n".to_owned();
        let mut seeds = Vec::new();
        for (row, (n, seed)) in rows.iter().enumerate() {
            let cell = seed.map_or(String::new(), |seed| seed.to_string());
            writeln!(text, "cat {row},{n},{cell}").expect("memory can be written");
            seeds.extend((0..u64::from(*n)).map(|i| seed.map(|seed| seed + i)));
        }
        let told = requests(csv(&text));
        prop_assert_eq!(told.iter().map(|request| request.seed).collect::<Vec<_>>(), seeds);
    }

    /// Goal: the line of a mistake is the line of its entry, after any other entries. Method: put a wrong entry after any valid ones.
    #[test]
    fn a_mistake_is_told_with_its_line(before in prop::collection::vec(drawable(), 0..8)) {
        let mut text = serde_yaml::to_string(&before).expect("texts can be written");
        if before.is_empty() {
            text.clear();
        }
        // Counts only line feeds: the other line breaks of YAML are none for an editor.
        let line = text.matches('\n').count() + 1;
        text += "- 42\n";
        let expected = format!("p:{line}: `prompt` is the number 42, not text; put it in quotes: prompt: \"42\"");
        prop_assert_eq!(verbatim("p.yaml", text.as_bytes()), Err(vec![expected]), "{:?}", text);
    }
}
