//! Tests of lists: the modes of combination, the order, the number of jobs, and the refusals.

use proptest::prelude::*;

use super::*;
use crate::model::request::Size;

/// Returns the jobs of a manifest as texts: prompt, model, size, steps, guidance and seed. Missing values are left out.
fn jobs(text: &str) -> Vec<String> {
    requests(yaml(text)).iter().map(short).collect()
}

fn short(request: &Request) -> String {
    let model = Some(request.model.clone()).filter(|model| model != MODEL);
    let more = [
        model,
        request.negative_prompt.clone(),
        request.size.map(|size| size.to_string()),
        request.steps.map(|steps| steps.to_string()),
        request.guidance.map(|guidance| guidance.to_string()),
        request.seed.map(|seed| format!("#{seed}")),
    ];
    std::iter::once(request.prompt.clone()).chain(more.into_iter().flatten()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_grid_has_each_value_with_each_and_seeds_vary_fastest() {
    let text = "- {seed: [1, 2], model: [a/b, c/d], prompt: [x, y]}";
    let expected = ["x a/b #1", "x a/b #2", "x c/d #1", "x c/d #2", "y a/b #1", "y a/b #2", "y c/d #1", "y c/d #2"];
    assert_eq!(jobs(text), expected);
    assert_eq!(jobs("- {prompt: [x, y], model: [a/b, c/d], expand: grid, seed: [1, 2]}"), expected, "in any spelling");
}

#[test]
fn lists_of_the_defaults_and_of_the_prompt_combine() {
    let text = "defaults: {seed: [1, 2], size: [64x64, 128x64]}\nprompts: [x, {prompt: y, size: 64x64}]";
    assert_eq!(
        jobs(text),
        ["x 64x64 #1", "x 64x64 #2", "x 128x64 #1", "x 128x64 #2", "y 64x64 #1", "y 64x64 #2"],
        "a prompt's own value takes the place of a list"
    );
}

#[test]
fn zip_walks_through_lists_together() {
    let text = "- {prompt: [x, y], model: [a/b, c/d], steps: 5, seed: [1, 2], expand: zip}";
    assert_eq!(jobs(text), ["x a/b 5 #1", "y c/d 5 #2"]);
    assert_eq!(jobs("- {prompt: x, seed: [1, 2], model: [a/b], expand: zip}"), ["x a/b #1", "x a/b #2"]);
}

#[test]
fn cycle_begins_shorter_lists_again() {
    let text = "defaults: {expand: cycle}\nprompts: [{prompt: [x, y, z], model: [a/b, c/d]}]";
    assert_eq!(jobs(text), ["x a/b", "y c/d", "z a/b"]);
}

#[test]
fn ranges_count_up_and_down_and_in_steps() {
    assert_eq!(jobs("- {prompt: x, seed: 1..3}"), ["x #1", "x #2", "x #3"]);
    assert_eq!(jobs("- {prompt: x, seed: 9..1..-4}"), ["x #9", "x #5", "x #1"]);
    assert_eq!(jobs("- {prompt: x, guidance: 3.5..4.5..0.5}"), ["x 3.5", "x 4", "x 4.5"]);
    assert_eq!(jobs("- {prompt: x, steps: 10..30..10}"), ["x 10", "x 20", "x 30"]);
}

#[test]
fn every_field_may_be_a_list() {
    let text =
        "- {prompt: x, negative_prompt: [a, b], size: [64x64, 64x128, 128x64], steps: [5, 6], guidance: [2, 3.5]}";
    assert_eq!(jobs(text).len(), 2 * 3 * 2 * 2);
    let text = "- {prompt: x, image_url: [[\"https://a\", \"https://b\"], [\"https://c\"]], loras: [a/b, {a/b: 0.5, c/d: 0.5}], \
                params: [{k: 1}, {k: 2}]}";
    let requests = requests(yaml(text));
    assert_eq!(requests.len(), 8);
    assert_eq!((requests[0].image_url.len(), requests[7].image_url.len()), (2, 1));
    assert_eq!((requests[0].loras.len(), requests[2].loras.len()), (1, 2));
    assert_eq!((&*requests[0].params["k"].0, &*requests[1].params["k"].0), ("1", "2"));
}

#[test]
fn source_images_in_one_list_are_one_request() {
    let requests = requests(yaml("- {prompt: x, image_url: [\"https://a\", \"https://b\"]}"));
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].image_url, ["https://a", "https://b"]);
}

#[test]
fn n_is_the_innermost_and_counts_up_one_seed() {
    assert_eq!(jobs("- {prompt: [x, y], n: 2}"), ["x", "x", "y", "y"]);
    assert_eq!(jobs("- {prompt: [x, y], n: 2, seed: 7}"), ["x #7", "x #8", "y #7", "y #8"]);
    assert_eq!(jobs("- {prompt: x, n: 4}"), ["x"; 4]);
    assert_eq!(jobs("- {prompt: x, n: 3, seed: 42}"), ["x #42", "x #43", "x #44"]);
}

#[test]
fn cells_of_a_table_may_hold_ranges_and_lists() {
    let told = csv("prompt,seed,size\n\"[a, b]\",1..3,\"[\"\"64x64\"\", \"\"128x64\"\"]\"\n1..8,,\n");
    let all: Vec<String> = requests(told).iter().map(short).collect();
    assert_eq!(all.len(), 7);
    assert_eq!(all[0], "[a, b] 64x64 #1", "a prompt is never read as a list");
    assert_eq!(all[6], "1..8", "nor as a range");
}

#[test]
fn overrides_may_be_lists_too() {
    let set = |source: &mut Source| source.overrides = vec![("seed".into(), "5..6".into())];
    let all = requests(open_with("p.yaml", b"[x, {prompt: y, seed: 1}]", set));
    assert_eq!(all.iter().map(short).collect::<Vec<_>>(), ["x #5", "x #6", "y #1"]);
}

/// Goal: several values of an option make the jobs that the same lists make in the manifest, with the same ids. Method: compare both.
#[test]
fn overrides_separated_by_commas_are_lists() {
    for (overrides, list) in [
        (&[("model", "a/b, c/d,e/f")][..], "model: [a/b, c/d, e/f]"),
        (&[("size", "64x64,128X64")], "size: [64x64, 128x64]"),
        (&[("seed", "1..3,random,7")], "seed: [1, 2, 3, random, 7]"),
        (&[("steps", "10,20"), ("guidance", "3.5,4")], "steps: [10, 20], guidance: [3.5, 4]"),
        (&[("model", r#"["a,b"]"#)], r#"model: ["a,b"]"#),
        (&[("negative_prompt", "text, hands")], r#"negative_prompt: "text, hands""#),
    ] {
        let set = |source: &mut Source| {
            source.limits = None;
            source.overrides = overrides.iter().map(|(field, value)| ((*field).into(), (*value).into())).collect();
        };
        let all = requests(open_with("p.yaml", b"[x, y]", set));
        let ids = |requests: Vec<Request>| requests.iter().map(Request::content).collect::<Vec<_>>();
        let listed = format!("{{defaults: {{{list}}}, prompts: [x, y]}}");
        let listed = open_with("p.yaml", listed.as_bytes(), |source| source.limits = None);
        assert_eq!(ids(all), ids(requests(listed)), "{list}");
    }
}

#[test]
fn a_list_that_may_be_one_number_is_a_warning_and_a_gap_is_a_mistake() {
    let told = |field: &str, value: &str| {
        let set = |source: &mut Source| source.overrides = vec![(field.into(), value.into())];
        open_with("p.yaml", b"[x]", set)
    };
    for (field, value, words) in [
        (
            "guidance",
            "3,5",
            "--set guidance=3,5 is 2 values; write --set guidance=3.5 for one, or --set 'guidance=[3, 5]'",
        ),
        ("seed", "1,000", "--set seed=1,000 is 2 values; write --set seed=1000 for one"),
    ] {
        let warnings = told(field, value).unwrap().warnings;
        assert!(warnings.len() == 1 && warnings[0].contains(words), "{warnings:?}");
    }
    for (field, value) in [("guidance", "3.5,5"), ("guidance", "2,3,4"), ("seed", "1,20,3"), ("steps", "10,20")] {
        assert_eq!(told(field, value).unwrap().warnings, Vec::<String>::new(), "{field}={value}");
    }
    for (field, value) in [("model", "a/b,,c/d"), ("model", "a/b,"), ("seed", "1,x"), ("size", "64x64,65")] {
        assert!(told(field, value).is_err(), "{field}={value}");
    }
}

#[test]
fn lists_that_cannot_be_combined_are_refused() {
    assert_mistakes(
        yaml,
        &[
            (
                "- {prompt: x, seed: [1, 2, 3], model: [a/b, c/d], expand: zip}",
                &["p:1: `expand: zip` needs lists of the same length, and there are 2 models, 3 seeds; \
                   make them the same length, or write `expand: cycle`"],
            ),
            (
                "- {prompt: x, seed: []}",
                &["p:1: `seed` is an empty list; write at least one value, or leave `seed` out"],
            ),
            (
                "- {prompt: x, n: [1, 2]}",
                &["p:1: `n` is a list, not a whole number; write one number: it counts the images of each combination"],
            ),
            (
                "- {prompt: x, n: 2, seed: [1, 2]}",
                &["p:1: `n` is 2, and `seed` is a list; list all the seeds you want, and leave `n` out"],
            ),
            (
                "- {prompt: [x, y], id: [p, q]}",
                &["p:1: `id` is a list, and each combination would get each of its ids; \
                   write `expand: zip`, or one id with vars in it, such as `id: \"{animal}\"`"],
            ),
            (
                "- {prompt: x, seed: [1, -1, 2, x]}",
                &[
                    "p:1: `seed` is -1, outside 0 to 2147483647; write a whole number from 0 to 2147483647, or `random` to have one drawn and recorded, or leave it out",
                    "p:1: `seed` is `x`, not a whole number; write a whole number from 0 to 2147483647, or `random` to have one drawn and recorded, or leave it out",
                ],
            ),
            (
                "- {prompt: x, seed: 1..9..0}",
                &["p:1: the range `1..9..0` has a step of 0; leave the step out, or write another"],
            ),
            ("- {prompt: x, size: [1024, 768]}", &["p:1: `size` is `1024, 768`, not WIDTHxHEIGHT; write 1024x768"]),
            (
                "- {prompt: x, expand: product}",
                &["p:1: `expand` is `product`; write `grid`, `zip`, `cycle` or `{sample: 100, seed: 1}`"],
            ),
            (
                "expand: zip\nprompts: [x]",
                &["p:1: unknown field `expand`; put it under `defaults:` to use it for all prompts"],
            ),
        ],
    );
}

#[test]
fn ids_go_with_zipped_prompts() {
    let told = yaml("- {prompt: [x, y], id: [p, q], expand: zip}").expect("it is good");
    assert_eq!(told.drafts.iter().map(|draft| draft.label.as_deref()).collect::<Vec<_>>(), [Some("p"), Some("q")]);
    let twice = yaml("- {prompt: [x, y], id: [p, q], expand: zip}\n- {prompt: z, id: q}");
    assert_eq!(twice, Err(vec!["p:2: the id `q` is also used by line 1; give one of them another id".to_owned()]));
}

#[test]
fn one_id_is_shared_by_all_jobs_of_an_entry() {
    let told = yaml("- {prompt: x, id: p, seed: 1..3}").expect("it is good");
    assert!(told.drafts.len() == 3 && told.drafts.iter().all(|draft| draft.label.as_deref() == Some("p")));
}

#[test]
fn too_many_jobs_are_refused_with_the_arithmetic() {
    let limit = |source: &mut Source| source.jobs_max = Some(1_000);
    let text = b"defaults: {model: [a/a, b/b, c/c, d/d], seed: 1..100}\nprompts: [x, y, z]";
    assert_eq!(
        open_with("p.yaml", text, limit),
        Err(vec![
            "p:2: 3 prompts x 4 models x 100 seeds = 1,200 jobs, and --max-jobs allows 1,000; \
             run with --max-jobs 1200 if you mean it, or sample some of them with `expand: {sample: 100, seed: 1}`"
                .to_owned()
        ])
    );
    assert!(open_with("p.yaml", text, |source| source.jobs_max = Some(1_200)).is_ok());
}

#[test]
fn endless_lists_are_refused_at_once() {
    let many = "- {prompt: x, seed: 0..999999, steps: 1..100, guidance: 1.5..19.5..0.001, size: [64x64, 64x65]}";
    let told = yaml(many).expect_err("that is too much");
    assert!(told[0].contains("1,000,000 seeds") && told[0].contains("--max-jobs allows 10,000"), "{told:?}");
}

#[test]
fn rows_are_not_limited() {
    let table = format!("prompt\n{}", "a cat\n".repeat(10_001));
    assert_eq!(csv(&table).expect("rows are as many as there are").drafts.len(), 10_001);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Goal: the number of jobs is the calculated one, and no two jobs of a grid are identical. Method: random list lengths in each mode.
    #[test]
    fn the_arithmetic_holds(n_prompts in 1..4_usize, n_sizes in 1..4_u32, n_steps in 1..4_u32, n_seeds in 1..5_usize, n_sample in 1..60_u64) {
        let list = |n: usize, item: &dyn Fn(usize) -> String| (1..=n).map(item).collect::<Vec<_>>().join(", ");
        let lists = format!(
            "prompt: [{}], size: [{}], steps: [{}], seed: [{}]",
            list(n_prompts, &|i| format!("p{i}")),
            list(n_sizes as usize, &|i| format!("{}x64", 64 * i)),
            list(n_steps as usize, &|i| i.to_string()),
            list(n_seeds, &|i| i.to_string()),
        );
        let lengths = [n_prompts, n_sizes as usize, n_steps as usize, n_seeds];
        let product: usize = lengths.iter().product();
        let grid = jobs(&format!("- {{{lists}}}"));
        prop_assert_eq!(grid.len(), product);
        let set: std::collections::BTreeSet<_> = grid.iter().collect();
        prop_assert_eq!(set.len(), product);
        let sample = jobs(&format!("- {{{lists}, expand: {{sample: {n_sample}, seed: 3}}}}"));
        prop_assert_eq!(sample.len() as u64, n_sample.min(product as u64));
        prop_assert!(sample.iter().all(|job| set.contains(job)));
        prop_assert_eq!(sample.iter().collect::<std::collections::BTreeSet<_>>().len(), sample.len());
        let cycle = jobs(&format!("- {{{lists}, expand: cycle}}"));
        prop_assert_eq!(Some(&cycle.len()), lengths.iter().max());
        prop_assert!(cycle.iter().all(|job| set.contains(job)));
    }
}

#[test]
fn a_longer_sample_begins_with_the_shorter_one() {
    let sample = |n: u32, seed: u32| {
        jobs(&format!("- {{prompt: x, seed: 1..100, steps: 1..20, expand: {{sample: {n}, seed: {seed}}}}}"))
    };
    let (short, long) = (sample(10, 1), sample(50, 1));
    assert_eq!(short, long[..10]);
    assert_ne!(short, sample(10, 2), "another seed draws others");
    assert_eq!(sample(10, 1), short, "and the same the same");
}

/// Goal: the sample of a manifest is the same in all versions. A different sample would be paid for again.
#[test]
fn the_draws_of_a_known_sample_are_kept_for_ever() {
    let all = requests(yaml("- {prompt: x, seed: 1..1000, expand: {sample: 4, seed: 7}}"));
    assert_eq!(
        all.iter().map(|request| request.seed).collect::<Vec<_>>(),
        [Some(747), Some(131), Some(627), Some(752)]
    );
}

#[test]
fn an_entry_keeps_its_draws_wherever_it_moves() {
    let entry = "{prompt: x, seed: 1..1000, expand: {sample: 5}}";
    let first = jobs(&format!("[{entry}, z]"));
    let last = jobs(&format!("[z, y, {entry}]"));
    assert_eq!(first[..5], last[2..]);
}

#[test]
fn sizes_of_lists_are_read_one_by_one() {
    let sizes: Vec<_> = requests(yaml("- {prompt: x, size: [64x64, 128x64]}")).iter().map(|r| r.size).collect();
    assert_eq!(sizes, [Some(Size { width: 64, height: 64 }), Some(Size { width: 128, height: 64 })]);
}
