//! Workbooks: the same jobs as of the table that a spreadsheet program saves, the same workbook from a pipe, and hostile bytes.

use super::*;

fn workbook(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/workbooks").join(name)).expect("it is there")
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
