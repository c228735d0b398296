//! What holds for every manifest, however strange.

use std::fmt::Write;

use proptest::prelude::*;

use super::*;

/// Opens a manifest and checks what must hold whatever comes of it.
fn open_any(name: &str, bytes: &[u8]) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("a file can be written there");
    let n_lines = String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\r', "\n").lines().count() as u64;
    let is_within = |mistake: &Mistake| mistake.line().is_none_or(|line| (1..=n_lines).contains(&line));
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

/// Texts of the pieces that manifests are made of, in any order.
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
        ]),
        "[ -~]{1,3}".prop_map(|text| &*text.leak()),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

/// Prompts that can be drawn: any characters but control ones, with line breaks.
fn drawable() -> impl Strategy<Value = String> {
    "[\\PC\n\t]{1,60}".prop_filter("it must say something", |text| {
        !text.trim().is_empty() && !text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t'))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_bytes_end_in_drafts_or_mistakes(bytes in any::<Vec<u8>>()) {
        open_any("p.yaml", &bytes)?;
        open_any("p.csv", &bytes)?;
    }

    #[test]
    fn any_text_ends_in_drafts_or_mistakes(text in any::<String>()) {
        open_any("p.yaml", text.as_bytes())?;
        open_any("p.csv", text.as_bytes())?;
    }

    #[test]
    fn any_pieces_end_in_drafts_or_mistakes(text in pieces()) {
        open_any("p.yaml", text.as_bytes())?;
        open_any("p.csv", text.as_bytes())?;
        open_any("p.csv", format!("prompt,n\n{text}").as_bytes())?;
        open_any("p.yaml", format!("- prompt: a\n- {text}").as_bytes())?;
    }

    #[test]
    fn prompts_that_the_csv_crate_writes_are_read_char_for_char(wanted in prop::collection::vec(drawable(), 1..20)) {
        for terminator in [csv::Terminator::Any(b'\n'), csv::Terminator::CRLF] {
            let mut writer = csv::WriterBuilder::new().terminator(terminator).from_writer(Vec::new());
            writer.write_record(["nr", "prompt"]).expect("memory can be written");
            for (i, prompt) in wanted.iter().enumerate() {
                writer.write_record([i.to_string().as_str(), prompt]).expect("memory can be written");
            }
            let bytes = writer.into_inner().expect("memory can be written");
            prop_assert_eq!(&prompts(open_with("p.csv", &bytes, |_| ())), &wanted);
        }
    }

    #[test]
    fn prompts_that_the_yaml_crate_writes_are_read_char_for_char(wanted in prop::collection::vec(drawable(), 1..20)) {
        let text = serde_yaml::to_string(&wanted).expect("texts can be written");
        let told = yaml(&text).map_err(|mistakes| TestCaseError::fail(format!("{mistakes:?} in {text:?}")))?;
        prop_assert_eq!(told.drafts.into_iter().map(|draft| draft.request.prompt).collect::<Vec<_>>(), wanted);
    }

    /// Goal: `n` adds up and seeds count on. Method: compare with a plain sum and plain ranges.
    #[test]
    fn images_add_up(rows in prop::collection::vec((1_u32..=20, prop::option::of(0_u64..1_000)), 1..20)) {
        let mut text = "prompt,n,seed\n".to_owned();
        let mut seeds = Vec::new();
        for (n, seed) in &rows {
            let cell = seed.map_or(String::new(), |seed| seed.to_string());
            writeln!(text, "a cat,{n},{cell}").expect("memory can be written");
            seeds.extend((0..u64::from(*n)).map(|i| seed.map(|seed| seed + i)));
        }
        let told = requests(csv(&text));
        prop_assert_eq!(told.iter().map(|request| request.seed).collect::<Vec<_>>(), seeds);
    }

    /// Goal: a mistake's line is the line of its entry, whatever stands before it. Method: put a wrong entry behind any good ones.
    #[test]
    fn a_mistake_is_told_with_its_line(before in prop::collection::vec(drawable(), 0..8)) {
        let mut text = serde_yaml::to_string(&before).expect("texts can be written");
        if before.is_empty() {
            text.clear();
        }
        // What only YAML breaks lines at is no line for an editor.
        let line = text.matches('\n').count() + 1;
        text += "- 42\n";
        let expected = format!("p:{line}: `prompt` is the number 42, not text; put it in quotes: prompt: \"42\"");
        prop_assert_eq!(yaml(&text), Err(vec![expected]), "{:?}", text);
    }
}
