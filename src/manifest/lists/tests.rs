//! List files in a temporary folder.

use tempfile::TempDir;

use super::*;

/// Creates a folder with these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("a folder can be made there");
        fs::write(path, bytes).expect("a file can be written there");
    }
    folder
}

fn lists(folder: &TempDir) -> ListFiles {
    ListFiles::new(folder.path().to_owned(), &[])
}

fn words(result: Result<ListTexts, Issue>) -> String {
    let Issue { what, remedy } = result.expect_err("something is wrong");
    format!("{what}; {remedy}")
}

#[test]
fn each_line_is_a_text_exactly() {
    let folder = folder(&[(
        "a.txt",
        "\u{feff}cat\r\n\r\n \t\n# no\n  # nor this\n#\n##\n#\tnor this\n#ff0000\n#tag\n  dog  \n猫\n\nno # comment"
            .as_bytes(),
    )]);
    assert_eq!(
        *lists(&folder).of_file("a.txt").expect("it is good"),
        ["cat", "#ff0000", "#tag", "  dog  ", "猫", "no # comment"]
    );
}

/// Goal: a line that may be a comment elsewhere is not sent without a word. Method: hashtags, and colours alone.
#[test]
fn texts_that_begin_with_a_hash_are_named_once() {
    let folder =
        folder(&[("tags.txt", b"# mine\nink\n#hashtag art\n#other"), ("colours.txt", b"#ff0000\n#0F0 \n#\nteal")]);
    let mut lists = lists(&folder);
    for name in ["colours.txt", "tags.txt", "tags.txt"] {
        lists.of_file(name).expect("it is good");
    }
    let mut warnings = DiagnosticList::default();
    lists.finish(&mut warnings);
    let told: Vec<_> = warnings.list().iter().map(|warning| warning.what.as_str()).collect();
    assert_eq!(told, ["line 3 of the list `tags.txt`, `#hashtag art`, is a text, although it begins with `#`"]);
}

#[test]
fn what_cannot_be_read_is_told() {
    let folder = folder(&[
        ("animals.txt", b"cat"),
        ("empty.txt", b"# nothing\n\n"),
        ("sub/colours.txt", b"red"),
        ("latin.txt", b"cat\ncaf\xe9\n"),
        ("utf16.txt", b"\xff\xfec\0x"),
    ]);
    let mut lists = lists(&folder);
    for (name, told) in [
        ("animal.txt", "list not found: `animal.txt`; did you mean `animals.txt`?"),
        ("animals", "list not found: `animals`; did you mean `animals.txt`?"),
        ("sub/colors.txt", "list not found: `sub/colors.txt`; did you mean `sub/colours.txt`?"),
        (
            "nowhere/x.txt",
            "list not found: `nowhere/x.txt`; create it, with one text per line, or correct the path, which is relative to the manifest",
        ),
        ("sub", "the list `sub` could not be read: it is a folder; name a readable file"),
        ("empty.txt", "the list `empty.txt` has no texts; write one per line"),
        (
            "latin.txt",
            "in line 2 of the list `latin.txt`, this line is not UTF-8 text; the file looks like windows-1252, but that is not certain; \
             convert it: iconv -f windows-1252 -t UTF-8 OLD > NEW",
        ),
        ("utf16.txt", "in line 1 of the list `utf16.txt`, this line is not UTF-16LE text; save the file as UTF-8"),
    ] {
        assert_eq!(words(lists.of_file(name)), told);
    }
    assert!(lists.of_file("a\0b").is_err());
    assert_eq!(lists.digest(), None);
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn long_lists_are_refused() {
    let lines = "a\n".repeat(TEXTS_MAX + 1);
    let folder = folder(&[("long.txt", lines.as_bytes()), ("most.txt", &lines.as_bytes()[2..])]);
    let file = File::create(folder.path().join("large.txt")).expect("a file can be made there");
    file.set_len(FILE_BYTES_MAX + 1).expect("a file can have a hole");
    let mut lists = lists(&folder);
    assert_eq!(lists.of_file("most.txt").expect("it is just short enough").len(), TEXTS_MAX);
    assert_eq!(
        words(lists.of_file("long.txt")),
        "the list `long.txt` has more than 1000000 texts; shorten it to 1000000"
    );
    let told = "the list `large.txt` is too long: lists have at most 64 MiB each, and 256 MiB together; shorten it";
    assert_eq!(words(lists.of_file("large.txt")), told);
}

/// Goal: a changed list changes the digest. Method: change a name, a text, the order, and the boundary between two parts.
#[test]
fn the_digest_covers_names_bytes_and_order() {
    let digest = |files: &[(&str, &[u8])]| {
        let folder = folder(files);
        let mut lists = lists(&folder);
        for (name, _) in files.iter().chain(files) {
            lists.of_file(name).expect("it is good");
        }
        lists.digest().expect("something was read")
    };
    let digests = [
        digest(&[("a", b"x"), ("b", b"y")]),
        digest(&[("b", b"y"), ("a", b"x")]),
        digest(&[("a", b"x"), ("c", b"y")]),
        digest(&[("a", b"x"), ("b", b"z")]),
        digest(&[("a", b"x"), ("b", b"y\n")]),
        digest(&[("a", b"x")]),
        digest(&[("a", b"cx")]),
        digest(&[("ac", b"x")]),
    ];
    for (i, digest) in digests.iter().enumerate() {
        assert!(!digests[..i].contains(digest), "{i}");
    }
    assert_eq!(digests[0], digest(&[("a", b"x"), ("b", b"y")]));
}

#[test]
fn a_file_is_read_once() {
    let folder = folder(&[("wildcards/a.txt", b"cat")]);
    let mut lists = lists(&folder);
    assert_eq!(*lists.values("a").expect("it is good"), ["cat"]);
    let digest = lists.digest();
    fs::remove_file(folder.path().join("wildcards/a.txt")).expect("it is there");
    assert_eq!(*lists.values("/a").expect("it was read"), ["cat"]);
    assert_eq!(*lists.of_file("wildcards/a.txt").expect("it was read"), ["cat"]);
    assert_eq!(lists.digest(), digest);
}

#[test]
fn wildcards_lie_in_their_folder() {
    let folder = folder(&[
        ("secret.txt", b"no"),
        ("wildcards/colours-warm.txt", b"red\nyellow"),
        ("wildcards/colours-cold.txt", b"blue"),
        ("wildcards/animals/birds.txt", b"owl"),
        ("wildcards/animals/wild/cats.txt", b"lynx"),
        ("wildcards/.hidden.txt", b"no"),
        ("wildcards/notes.md", b"no"),
    ]);
    let mut lists = lists(&folder);
    for (name, texts) in [
        ("animals/birds", &["owl"][..]),
        ("colours*", &["blue", "red", "yellow"]),
        ("animals/*", &["owl"]),
        ("animals/**", &["owl", "lynx"]),
        ("**cats", &["lynx"]),
        ("**", &["owl", "lynx", "blue", "red", "yellow"]),
        ("*/*/c*s", &["lynx"]),
    ] {
        assert_eq!(*lists.values(name).expect("it is good"), *texts, "{name}");
    }
    let outside = "name a list inside it, as in `__animals/birds__`";
    for (name, told) in [
        ("../secret", "the wildcard `__../secret__` is not in the folder `wildcards`; ".to_owned() + outside),
        ("animals/../../secret", "the wildcard `__animals/../../secret__` is not in the folder `wildcards`; ".to_owned() + outside),
        ("c:\\x", "the wildcard `__c:\\x__` is not in the folder `wildcards`; ".to_owned() + outside),
        ("/", "the wildcard `__/__` is not in the folder `wildcards`; ".to_owned() + outside),
        ("birds", "no list for the wildcard `__birds__`; did you mean `__animals/birds__`?".to_owned()),
        ("Animals/birds", "no list for the wildcard `__Animals/birds__`; did you mean `__animals/birds__`?".to_owned()),
        ("animals/birds.txt", "no list for the wildcard `__animals/birds.txt__`; did you mean `__animals/birds__`?".to_owned()),
        ("trees", "no list for the wildcard `__trees__`; write `wildcards/trees.txt` beside the manifest, with one text per line".to_owned()),
        ("tr*", "the wildcard `__tr*__` matches no list; write `wildcards/tr*.txt` beside the manifest, with one text per line".to_owned()),
    ] {
        assert_eq!(words(lists.values(name)), told);
    }
}

#[cfg(unix)]
#[test]
fn links_that_lead_back_end() {
    let folder = folder(&[("wildcards/a.txt", b"cat")]);
    std::os::unix::fs::symlink(".", folder.path().join("wildcards/again")).expect("a link can be made there");
    let texts = lists(&folder).values("**").expect("it ends");
    assert_eq!(texts.len(), wildcards::DEPTH_MAX + 1);
}

#[test]
fn without_a_folder_there_are_no_wildcards() {
    let folder = folder(&[]);
    assert!(words(lists(&folder).values("a")).starts_with("no list for the wildcard `__a__`; write"));
}

/// Goal: a long pattern is refused and never cut. Method: a pattern whose beginning matches a list, and one that is as long as allowed.
#[test]
fn a_pattern_is_never_cut() {
    let long = "a".repeat(199);
    let name = format!("wildcards/{long}.txt");
    let folder = folder(&[(&name, b"x")]);
    assert_eq!(*lists(&folder).values(&format!("{long}*")).expect("200 characters are allowed"), ["x"]);
    let wrong = lists(&folder).values(&format!("{long}*b")).expect_err("no list ends in b");
    assert!(wrong.what.ends_with("has more than 200 characters"), "{}", wrong.what);
}
