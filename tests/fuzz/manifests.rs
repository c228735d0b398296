//! Fuzz target for manifests in every format and with every option: each is read or refused, and its jobs can be sent.

use std::cell::LazyCell;
use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use promptbatch::internals::provider::body;
use promptbatch::manifest;
use promptbatch::manifest::error::ManifestError;
use promptbatch::manifest::source::Source;
use promptbatch::provider::default_provider::DEFAULT;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Target, assert_safe, outline};

pub const TARGET: Target = Target {
    name: "manifests",
    seeds,
    words: &[
        "- ",
        "\n- prompt: ",
        "\n  size: ",
        "64x64",
        "\n  meta: ",
        "\n  params: ",
        "\n  loras: ",
        "\n  n: ",
        "\n  id: ",
        "\n  image_url: ",
        "defaults:\n",
        "prompts:\n",
        ": ",
        "{",
        "}",
        "[",
        "]",
        "{a: ",
        "[[",
        ", ",
        ",",
        ",,",
        "\"",
        "\"\"",
        "'",
        "|\n",
        ">-\n",
        " #x",
        "&a ",
        "*a",
        "*a, ",
        "<<: *a",
        "!t ",
        "!!binary ",
        "!!int ",
        "~",
        "---\n",
        "...\n",
        "%YAML 1.1\n",
        "\t",
        "? ",
        "\u{feff}",
        "\u{2028}",
        "\u{85}",
        "\\x07",
        "\\ud800",
        "\0",
        "\x1b[2J",
        "\r\n",
        "\n",
        "猫",
        "prompt",
        "prompt,id\n",
        "prompt;id\r\n",
        "prompt\tid\n",
        "sep=;\n",
        "{\"prompt\": \"",
        "\"}\n",
        "\"meta\": {",
        "\n---\n",
        "\u{a0}",
        "seed",
        "steps",
        "guidance",
        "negative_prompt",
        "0x1F",
        ".inf",
        "1e9",
        "{\"a\":[1]}",
        "https://x",
    ],
    mend: |_, _| (),
    check,
};

/// One file name for each format.
const NAMES: [&str; 5] = ["p.yaml", "p.csv", "p.tsv", "p.jsonl", "p.txt"];

/// Returns the manifests of the corpus, each with the most common options. Compressed manifests are included
/// uncompressed too.
fn seeds() -> Vec<Vec<u8>> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests");
    let files = ["good", "bad"].into_iter().flat_map(|folder| fs::read_dir(tests.join(folder)).unwrap());
    let mut paths: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let format = |path: &Path| {
        let name = path.to_string_lossy();
        let ending = name.trim_end_matches(".gz").rsplit_once('.').unwrap().1;
        match ending {
            "csv" => 1,
            "tsv" | "tab" => 2,
            "jsonl" | "ndjson" => 3,
            "txt" => 4,
            _ => 0,
        }
    };
    let seed = |path: &Path, bytes: &[u8]| [&[b'0', format(path)][..], bytes].concat();
    let mut seeds = Vec::new();
    // A subfolder holds files that manifests refer to.
    for path in paths.into_iter().filter(|path| path.is_file()) {
        let bytes = fs::read(&path).unwrap();
        let mut plain = Vec::new();
        if MultiGzDecoder::new(&*bytes).read_to_end(&mut plain).is_ok() {
            seeds.push(seed(&path, &plain));
        }
        seeds.push(seed(&path, &bytes));
    }
    seeds
}

/// Reads an input. The first byte selects the options, the second one the format, and the rest is the file.
fn check(input: &[u8]) -> String {
    thread_local!(static FOLDER: LazyCell<TempDir> = LazyCell::new(|| tempfile::tempdir().unwrap()));
    let (options, bytes) = input.split_at(input.len().min(2));
    let bit = |n: u8| options.first().is_some_and(|byte| byte >> n & 1 == 1);
    let format = options.get(1).map_or(0, |byte| usize::from(*byte) % NAMES.len());
    let path = FOLDER.with(|folder| folder.path().join(NAMES[format]));
    fs::write(&path, bytes).unwrap();
    let source = Source {
        path,
        format: None,
        encoding: if bit(0) { "gb18030".parse().ok() } else { None },
        prompt_column: bit(1).then(|| "text".to_owned()),
        id_column: bit(2).then(|| "name".to_owned()),
        overrides: if bit(3) { vec![("size".into(), "128x128".into()), ("steps".into(), "9".into())] } else { vec![] },
        default_model: (!bit(6)).then(|| "default/model".to_owned()),
        limits: Some(&DEFAULT.limits),
        ..Source::default()
    };
    match manifest::open(source) {
        Ok(manifest) => {
            let warnings: Vec<_> = manifest.warnings().iter().map(|warning| warning.at(manifest.path())).collect();
            assert_safe(&warnings.join("\n"));
            assert_eq!(good(&manifest), manifest.n_jobs().min(1000));
            format!("{} columns {}", manifest.columns().len().min(5), outline(&warnings.join("; ")))
        }
        Err(error) => {
            let words = error.to_string();
            assert_safe(&words);
            assert!(words.len() < 20_000, "{} bytes of words", words.len());
            assert!(matches!(error, ManifestError::Mistakes { .. }) && !error.mistakes().is_empty(), "{words}");
            // Of many mistakes, the first ones are sufficient.
            outline(&words.lines().skip(1).take(2).collect::<Vec<_>>().join(" "))
        }
    }
}

/// Returns the number of drafts, at most 1,000. Checks that each can be sent unchanged.
fn good(manifest: &manifest::Manifest) -> u64 {
    let drafts = manifest.drafts().unwrap().take(1000).map(|draft| draft.expect("the file is the same"));
    let n_drafts = drafts.map(|draft| {
        assert!(!draft.request.prompt.trim().is_empty() && !draft.request.model.is_empty());
        let sent = body::text(&draft.request).unwrap_or_else(|fault| panic!("{fault}: {draft:?}"));
        let sent: Value = serde_json::from_str(&sent).unwrap();
        assert_eq!(sent["prompt"], draft.request.prompt);
        assert!(draft.extras.iter().all(|(column, _)| manifest.columns().contains(column)));
    });
    n_drafts.count() as u64
}
