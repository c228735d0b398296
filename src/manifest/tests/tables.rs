//! Tests of complete CSV tables.

use super::*;
use crate::model::request::{Json, Lora};

#[test]
fn a_table_gives_requests_and_extras() {
    let told = csv("prompt,size,category,seed,steps,guidance,negative_prompt,id\n\
                    a cat,1024x768,animals,7,20,4.5,blurry,hero\n\
                    一只猫,,\" kept as, is \",,,,,\n")
    .expect("the table is good");
    let size = "1024x768".parse().ok();
    let full = Request {
        size,
        seed: Some(7),
        steps: Some(20),
        guidance: Some(4.5),
        negative_prompt: Some("blurry".into()),
        ..a_cat()
    };
    assert_eq!(told.drafts[0].request, full);
    assert_eq!(told.drafts[0].label.as_deref(), Some("hero"));
    assert_eq!(told.drafts[0].extras, [("category".to_owned(), "animals".to_owned())]);
    assert_eq!(told.drafts[1].request, Request { prompt: "一只猫".into(), ..a_cat() });
    assert_eq!(told.drafts[1].label, None);
    assert_eq!(told.drafts[1].extras, [("category".to_owned(), " kept as, is ".to_owned())]);
    assert_eq!(told.columns, ["category"]);
    assert_eq!(told.warnings, [""; 0]);
}

#[test]
fn fields_with_parts_are_written_as_json_or_plainly() {
    let told = requests(csv("prompt,image_url,loras,params\n\
        a cat,https://a/b.png,a/b,\"{\"\"eta\"\": 0.5}\"\n\
        a cat,\"[\"\"https://a\"\",\"\"https://b\"\"]\",\"{\"\"a/b\"\": 0.5, \"\"c/d\"\": 0.5}\",{}\n"));
    assert_eq!(told[0].image_url, ["https://a/b.png"]);
    assert_eq!(told[0].loras, [Lora { repo: "a/b".into(), weight: None }]);
    assert_eq!(told[0].params, [("eta".to_owned(), Json("0.5".into()))].into());
    assert_eq!(told[1].image_url, ["https://a", "https://b"]);
    assert_eq!(told[1].loras.len(), 2);
    assert!(told[1].params.is_empty());
}

#[test]
fn headers_are_matched_freely_and_kept_strictly() {
    let told = csv(" Prompt ,SIZE,My Column,size_note\na cat,64x64,x,y\n").expect("the table is good");
    assert_eq!(told.columns, ["My Column", "size_note"]);
    assert_eq!(told.drafts[0].request.size, "64x64".parse().ok());
}

#[test]
fn the_marks_and_line_ends_of_every_system_are_read() {
    for text in
        ["\u{feff}prompt\r\na\r\n\"b\r\nc\"\r\n", "prompt\ra\r\"b\rc\"", "\u{feff}\"prompt\"\n\na\n\n\"b\nc\"\n\n"]
    {
        assert_eq!(prompts(csv(text)), ["a", "b\nc"], "{text:?}");
    }
}

#[test]
fn the_index_that_data_frames_write_is_carried_through() {
    let told = csv(",prompt,seed\n0,a cat,42.0\n1,a cat,\n").expect("the table is good");
    assert_eq!(told.columns, ["column_1"]);
    assert_eq!(told.drafts.iter().map(|draft| draft.request.seed).collect::<Vec<_>>(), [Some(42), None]);
}

#[test]
fn headers_that_cannot_be_used_are_refused() {
    assert_mistakes(
        csv,
        &[
            ("", &["p: the table is empty; write a header row with a column `prompt`, then one row for each image"]),
            (
                "\n\n",
                &["p: the table is empty; write a header row with a column `prompt`, then one row for each image"],
            ),
            ("prompt\n", &["p: the table has a header and no rows; write one row for each image below the header"]),
            (
                "\npromt,size\na,64x64\n",
                &[
                    "p:2: no column is called `prompt`; if it is `promt`, rename that column or run with --prompt-col promt",
                ],
            ),
            (
                "file,caption\na,b\n",
                &[
                    "p:1: no column is called `prompt`; if it is `caption`, rename that column or run with --prompt-col caption",
                ],
            ),
            (
                "a,b,c,d,e,f,g,h,i\n",
                &["p:1: no column is called `prompt`; name it with --prompt-col NAME; \
                   the header has `a`, `b`, `c`, `d`, `e`, `f`, `g`, `h`, ..."],
            ),
            (
                "caption;size\na;64x64\n",
                &[
                    "p:1: no column is called `prompt`; if it is `caption`, rename that column or run with --prompt-col caption",
                ],
            ),
            (
                "prompt, PROMPT ,x,y,x\na,b,1,2,3\n",
                &[
                    "p:1: columns 1 and 2 are both `prompt`; rename or remove one of them",
                    "p:1: columns 3 and 5 are both `x`; rename or remove one of them",
                ],
            ),
            ("\"prompt\n", &["p:1: a quote is opened here and never closed; close it, or double it to mean a quote"]),
        ],
    );
}

#[test]
fn columns_that_were_probably_meant_to_be_sent_are_warned_of() {
    let told = csv("prompt,promt,step,name,style\na,b,d,e,f\n").expect("the table is good");
    assert_eq!(told.columns, ["promt", "step", "name", "style"]);
    assert_eq!(
        told.warnings,
        [
            "p:1: the column `promt` is carried through and not sent; add --map promt=prompt if it is meant so, or --carry promt if it is not",
            "p:1: the column `step` is carried through and not sent; add --map step=steps if it is meant so, or --carry step if it is not",
        ]
    );
}

#[test]
fn rows_that_cannot_be_used_are_all_told() {
    assert_mistakes(
        csv,
        &[
            (
                "prompt,size\na\n\"b\nc\",64x64,d\n\n,64x64\n\" \",64x64\nd,1024*768\n",
                &[
                    "p:2: this row has 1 cell and the header 2; add the missing cells, even if they are empty",
                    "p:3: this row has 3 cells and the header 2; put a cell that holds a comma in quotes",
                    "p:6: this entry has no prompt; describe the image, or remove the entry",
                    "p:7: `prompt` is empty; describe the image, or remove the entry",
                    "p:8: `size` is `1024*768`, not WIDTHxHEIGHT; write 1024x768",
                ],
            ),
            (
                "prompt,size\na,63x64\n\"b,64x64\nc,64x64\n",
                &[
                    "p:2: `size` is 63x64, and a side is outside 64 to 2048 pixels; \
                     write width and height in pixels, from 64x64 to 2048x2048, for example 1024x768",
                    "p:3: a quote is opened here and never closed; close it, or double it to mean a quote",
                ],
            ),
            (
                "prompt,size\n\"a cat,64x64\n\"a dog\",64x64\nc,5x5x5\n",
                &[
                    "p:3: text follows the closing quote of a cell that is opened on line 2; \
                     close that cell where it ends, and double a quote inside it",
                    "p:4: `size` is `5x5x5`, not WIDTHxHEIGHT; \
                     write width and height in pixels, from 64x64 to 2048x2048, for example 1024x768",
                ],
            ),
            ("prompt,id\na,x\nb,y\nc,x\n", &["p:4: the id `x` is also used by line 2; give one of them another id"]),
            (
                "prompt,n,seed\na,2,2147483647\n",
                &["p:2: the last of the 2 seeds is 2147483648, above 2147483647; lower `seed` or `n`"],
            ),
        ],
    );
}

#[test]
fn images_of_one_row_are_drafts_of_their_own() {
    let told = csv("prompt,n,seed,id\na,3,5,x\nb,2,,\n").expect("the table is good");
    let drafts: Vec<_> = told
        .drafts
        .iter()
        .map(|draft| (draft.request.prompt.as_str(), draft.request.seed, draft.label.as_deref()))
        .collect();
    assert_eq!(
        drafts,
        [
            ("a", Some(5), Some("x")),
            ("a", Some(6), Some("x")),
            ("a", Some(7), Some("x")),
            ("b", None, None),
            ("b", None, None)
        ]
    );
}
