//! Tests of the two passes over a file, which yield the same batch or an error, and of the fingerprint.

use super::*;

/// Opens a manifest in a temporary folder, which is deleted on drop.
fn opened(name: &str, text: &str) -> (tempfile::TempDir, Manifest) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join(name);
    fs::write(&path, text).expect("a file can be written there");
    let manifest = open(Source { path, default_model: Some(MODEL.into()), ..Source::default() });
    (folder, manifest.expect("the manifest is good"))
}

fn is_changed<T>(result: &Result<T, ManifestError>) -> bool {
    matches!(result, Err(ManifestError::Changed { .. }))
}

#[test]
fn drafts_can_be_read_as_often_as_wanted() {
    for (name, text) in [("p.yaml", "- a\n- b\n"), ("p.CSV", "prompt\na\nb\n")] {
        let (_folder, manifest) = opened(name, text);
        for _ in 0..3 {
            let drafts = manifest.drafts().expect("the file is the same");
            let prompts: Vec<String> = drafts.map(|draft| draft.expect("it is the same").request.prompt).collect();
            assert_eq!(prompts, ["a", "b"], "{name}");
        }
    }
}

#[test]
fn a_file_that_was_changed_gives_no_draft() {
    for (name, text, other) in [("p.yml", "- a\n", "- b\n"), ("p.csv", "prompt\na\n", "prompt\nb\n")] {
        let (_folder, manifest) = opened(name, text);
        fs::write(manifest.path(), other).expect("the file can be written");
        assert!(is_changed(&manifest.drafts().map(|_| ())), "{name}");
        fs::write(manifest.path(), text).expect("the file can be written");
        assert!(manifest.drafts().is_ok(), "{name} is as it was");
        fs::remove_file(manifest.path()).expect("the file can be removed");
        assert!(matches!(manifest.drafts().map(|_| ()), Err(ManifestError::Read { .. })), "{name}");
    }
}

/// Goal: a table that changes during the read ends in an error. Method: change its end while its beginning is being read.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_table_that_is_changed_while_it_is_read_ends_in_an_error() {
    let text = format!("prompt\n{}", "a golden cat in the snow\n".repeat(20_000));
    for other in [text.replace("snow", "rain"), text.replace("snow\n", "\"sn\"ow\n"), format!("{text}one more\n")] {
        let (_folder, manifest) = opened("p.csv", &text);
        let mut drafts = manifest.drafts().expect("the file is the same");
        assert!(drafts.next().is_some_and(|draft| draft.is_ok()));
        fs::write(manifest.path(), other).expect("the file can be written");
        let last = drafts.by_ref().last().expect("something is left");
        assert!(is_changed(&last), "{last:?}");
        assert!(drafts.next().is_none(), "an end is an end");
    }
}

#[test]
fn yaml_is_held_once_it_is_read() {
    let (_folder, manifest) = opened("p.yaml", "- a\n- b\n");
    let drafts = manifest.drafts().expect("the file is the same");
    fs::write(manifest.path(), "- c\n").expect("the file can be written");
    assert_eq!(drafts.flatten().count(), 2);
}

#[test]
fn a_manifest_without_mistakes_says_what_it_holds() {
    let (folder, manifest) = opened("p.csv", "prompt,n,style\na,3,ink\nb,,oil\n");
    assert_eq!(manifest.path(), folder.path().join("p.csv"));
    assert_eq!(manifest.n_jobs(), 4);
    assert_eq!(manifest.columns(), ["style"]);
    assert_eq!(manifest.warnings(), []);
}

#[test]
fn files_that_cannot_be_read_are_told_from_bad_ones() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let opened = |name: &str| open(Source { path: folder.path().join(name), ..Source::default() }).map(|_| ());
    assert!(matches!(opened("missing.yaml"), Err(ManifestError::Read { .. })));
    assert!(matches!(opened("missing.csv"), Err(ManifestError::Read { .. })));
    fs::create_dir(folder.path().join("folder.yaml")).expect("a folder can be made");
    assert!(
        matches!(opened("folder.yaml"), Err(ManifestError::Mistakes { .. })),
        "a folder is read as such, whatever its name"
    );
    for name in ["prompts.doc", "prompts", ".csv", "prompts.yaml.bak", "prompts.gz", "-"] {
        assert!(matches!(opened(name), Err(ManifestError::UnknownFormat { .. })), "{name}");
    }
}

/// Goal: every change of the jobs changes the fingerprint, and no other change does. Method: change each option in turn.
#[test]
fn every_option_changes_the_fingerprint_and_the_place_does_not() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let fingerprint = |name: &str, text: &str, change: fn(&mut Source)| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file can be written there");
        let mut source = Source { path, default_model: Some(MODEL.into()), ..Source::default() };
        change(&mut source);
        open(source).expect("the manifest is good").fingerprint()
    };
    let text = "prompt,a,b\nx,y,z\n";
    let first = fingerprint("a.csv", text, |_| ());
    assert_eq!(fingerprint("b.CSV", text, |_| ()), first);
    let changes: [fn(&mut Source); 8] = [
        |source| source.default_model = Some("other/model".into()),
        |source| source.prompt_column = Some("a".into()),
        |source| source.prompt_column = Some("b".into()),
        |source| source.id_column = Some("a".into()),
        |source| source.overrides = vec![("n".into(), "2".into())],
        |source| source.overrides = vec![("n".into(), "3".into())],
        |source| source.overrides = vec![("steps".into(), "2".into())],
        |source| source.overrides = vec![("steps".into(), "2".into()), ("n".into(), "2".into())],
    ];
    let mut seen = vec![first, fingerprint("c.csv", "prompt,a,b\nx,y,Z\n", |_| ())];
    seen.extend(changes.map(|change| fingerprint("d.csv", text, change)));
    seen.push(fingerprint("e.yaml", "- a\n", |_| ()));
    for (i, one) in seen.iter().enumerate() {
        assert!(!seen[..i].contains(one), "the fingerprint of change {i} is not its own");
    }
}
