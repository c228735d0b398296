//! Workbooks: the same jobs as of the table that a spreadsheet program saves, the same workbook from a pipe, and hostile bytes.

use super::*;

fn workbook(name: &str) -> Vec<u8> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let path = tests.join("cases/workbooks").join(name);
    fs::read(if path.exists() { path } else { tests.join("workbooks").join(name) }).expect("it is there")
}

/// Goal: a sheet gives the jobs, and so the ids, of the same table as CSV. Method: the drafts of both, for all that can be in a cell.
#[test]
fn a_sheet_is_read_as_its_table_is() {
    let table = "id,prompt,seed,steps,guidance,size,note\n\
        a1,a heron in the reeds,2147483647,20,3.5,1024x768,2026-11-30\n\
        7,\"  a barge, at night\nunder a \"\"full\"\" moon \",0,,4,,2026-11-30T12:30:05\n\
        ,a red hare,,,,,TRUE\n\
        a4,猫，坐在窗边 & <x>,5,,,,12345678901234570000\n\
        ,,,,,,\n\
        a5,\"an A owl\nby day\",,,,,07:05:00\n";
    let sheet = open_with("p.xlsx", &workbook("plain.xlsx"), |_| ()).expect("the workbook is good");
    let table = csv(table).expect("the table is good");
    assert_eq!((sheet.drafts, sheet.columns), (table.drafts, table.columns));
    let warning = "p, Prompts, cell G5: the number `12345678901234570000` has more digits than a spreadsheet keeps; format the cell as \
                   text, and write the number again";
    assert_eq!(sheet.warnings, [warning]);
}

/// Goal: no bytes end the program, or are read as other ones. Method: each byte of a workbook changed, and each length of it.
#[test]
fn damaged_workbooks_are_mistakes() {
    let good = workbook("no-prompt.xlsx");
    for at in (0..good.len()).step_by(17) {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        for bytes in [&bad[..], &good[..at]] {
            let told = open_with("p.xlsx", bytes, |_| ());
            assert!(told.is_err_and(|told| told.iter().all(|told| told.starts_with('p'))), "{at}");
        }
    }
}

/// Goal: a sheet gives the same jobs in every file format. Method: the same cells as in the table above, written by other programs.
#[test]
fn a_sheet_is_the_same_in_every_file_format() {
    let expected = open_with("p.xlsx", &workbook("plain.xlsx"), |_| ()).expect("the workbook is good");
    for name in ["plain.ods", "plain.xls"] {
        for path in [name, "p.xlsx"] {
            let found = open_with(path, &workbook(name), |_| ()).expect("the workbook is good");
            assert_eq!((&found.drafts, &found.columns), (&expected.drafts, &expected.columns), "{name}");
            assert_eq!(found.warnings.len(), 1, "{name}: {:?}", found.warnings);
        }
    }
    let many = open_with("p.xls", &workbook("many.xls"), |_| ()).expect("the workbook is good");
    for (n, draft) in (1..).zip(&many.drafts) {
        let end = if n % 3 == 0 { "x" } else { "猫" }.repeat(n % 40 + 1);
        assert_eq!(draft.request.prompt, format!("number {n}, a cat, {end}"));
    }
    assert_eq!(many.drafts.len(), 1200);
}

/// Goal: no bytes of the other formats end the program, or take more memory than a workbook may. Method: many bytes of each changed, in
/// several ways, and many lengths of it.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn damaged_workbooks_of_other_formats_end_no_program() {
    let mut n_refused = 0;
    for (name, step) in
        [("hidden.ods", 41), ("sheets.ods", 61), ("hidden.xls", 37), ("mistakes.xls", 53), ("many.xls", 9973)]
    {
        let good = workbook(name);
        for at in (0..good.len()).step_by(step) {
            for (mask, fill) in [(0x55, None), (0, Some(0xff)), (0, Some(0))] {
                let mut bad = good.clone();
                bad[at] = fill.unwrap_or(bad[at] ^ mask);
                n_refused += u32::from(open_with(name, &bad, |_| ()).is_err());
            }
            n_refused += u32::from(open_with(name, &good[..at], |_| ()).is_err());
        }
    }
    assert!(n_refused > 300, "{n_refused}");
}
