//! Tests of other encodings: certain Chinese is read, other encodings are refused with a remedy, and no text is misread.

use std::collections::BTreeMap;

use encoding_rs::{BIG5, EUC_JP, EUC_KR, GB18030, KOI8_R, SHIFT_JIS, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252};

use super::*;

/// Prompts as people write them.
const CHINESE: [&str; 10] = [
    "一只金色的猫坐在雪地里",
    "水墨画风格的山水，远处有一座寺庙",
    "赛博朋克城市夜景，霓虹灯，雨夜，高清",
    "一个穿红色汉服的女孩在樱花树下读书",
    "宇航员骑马在月球上，超现实主义，电影光影",
    "产品摄影：玻璃香水瓶，白色背景，柔和的光",
    "龙在云中飞翔，金色鳞片，史诗感",
    "熊猫吃竹子",
    "清晨的江南水乡，薄雾，乌篷船，细节丰富",
    "复古海报，蒸汽火车穿过雪山",
];

/// Prompts in other languages, each in the encodings that are still in use.
const OTHERS: [(&str, &encoding_rs::Encoding); 16] = [
    ("一隻金色的貓坐在雪地裡，水墨畫風格的山水，遠處有一座寺廟，細節豐富", BIG5),
    ("一個穿紅色漢服的女孩在櫻花樹下讀書，電影光影，超現實主義", BIG5),
    ("雪の中に座っている金色の猫、水彩画、柔らかい光", SHIFT_JIS),
    ("夜の東京の街、ネオン、雨、アニメ風", SHIFT_JIS),
    ("雪の中に座っている金色の猫、水彩画、柔らかい光", EUC_JP),
    ("富士山と桜、浮世絵、高画質", EUC_JP),
    ("눈 속에 앉아 있는 황금 고양이, 수채화, 부드러운 빛", EUC_KR),
    ("한복을 입은 소녀가 벚꽃나무 아래에서 책을 읽고 있다", EUC_KR),
    ("золотая кошка сидит в снегу, акварель, мягкий свет", WINDOWS_1251),
    ("ночной город в стиле киберпанк, неон, дождь", WINDOWS_1251),
    ("золотая кошка сидит в снегу, акварель, мягкий свет", KOI8_R),
    ("ночной город в стиле киберпанк, неон, дождь", KOI8_R),
    ("un café à Paris, l’été, très détaillé, façade bleue", WINDOWS_1252),
    ("ein Mädchen mit Tüte, große Häuser, Weißstörche über dem Fluß", WINDOWS_1252),
    ("kočka sedí ve sněhu, příliš žluťoučký kůň", WINDOWS_1250),
    ("złoty kot siedzi w śniegu, źdźbło, łąka", WINDOWS_1250),
];

fn encoded(text: &str, encoding: &'static encoding_rs::Encoding) -> Vec<u8> {
    let (bytes, _, has_lost) = encoding.encode(text);
    assert!(!has_lost, "{} cannot hold {text}", encoding.name());
    bytes.into_owned()
}

fn table(prompts: &[&str], encoding: &'static encoding_rs::Encoding) -> Vec<u8> {
    encoded(&format!("id,prompt\r\n{}", numbered(prompts)), encoding)
}

fn numbered(prompts: &[&str]) -> String {
    let rows: Vec<_> = (1..).zip(prompts).map(|(i, prompt)| format!("{i},\"{prompt}\"\r\n")).collect();
    rows.concat()
}

#[test]
fn chinese_of_any_length_is_read() {
    let told = open_with("p.csv", &table(&CHINESE, GB18030), |_| ()).expect("it is GBK for certain");
    assert_eq!(told.drafts.iter().map(|draft| draft.request.prompt.as_str()).collect::<Vec<_>>(), CHINESE);
    assert_eq!(
        told.warnings,
        ["p: the file is not UTF-8 and is read as gb18030; check the prompts; confirm with --encoding gb18030"]
    );
    for prompt in CHINESE {
        let told = open_with("p.csv", &table(&[prompt], GB18030), |_| ());
        assert_eq!(told.map(|told| told.drafts[0].request.prompt.clone()), Ok(prompt.to_owned()));
    }
}

/// Case: `--encoding utf-8` for a file that is certainly GB18030. The user's word is not overridden, and the error names it.
#[test]
fn an_encoding_that_the_user_names_is_not_replaced_by_a_detected_one() {
    let bytes = table(&CHINESE, GB18030);
    let refused = open_with("p.csv", &bytes, |source| source.encoding = "utf-8".parse().ok()).err();
    assert_eq!(refused, Some(vec!["p: the file holds bytes that are not UTF-8 text; omit --encoding".to_owned()]));
    assert!(open_with("p.csv", &bytes, |source| source.encoding = "gb18030".parse().ok()).is_ok());
}

/// Goal: text in another language is never read as Chinese, however short. Method: every prefix of every text.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn other_languages_are_refused_and_never_misread() {
    let mut n_refused = BTreeMap::new();
    for (text, encoding) in OTHERS {
        for (end, _) in text.char_indices().skip(1).chain([(text.len(), ' ')]) {
            let prompt = &text[..end];
            let bytes = table(&["a cat", prompt], encoding);
            if str::from_utf8(&bytes).is_ok() {
                continue;
            }
            let told = open_with("p.csv", &bytes, |_| ()).map(|told| told.drafts[1].request.prompt.clone());
            let mistakes = told.expect_err(&format!("{} is not certain: {prompt}", encoding.name()));
            let begin = "p:3: this line is not UTF-8 text; the file looks like ";
            assert!(mistakes.len() == 1 && mistakes[0].starts_with(begin), "{mistakes:?}");
            *n_refused.entry(encoding.name()).or_insert(0) += 1;
        }
    }
    assert!(n_refused.values().all(|n| *n > 20), "{n_refused:?}");
}

#[test]
fn what_is_refused_is_told_with_the_way_out() {
    for (text, encoding, command) in [
        (OTHERS[0].0, BIG5, "iconv -f Big5 -t UTF-8 OLD > NEW, or add --encoding Big5"),
        (OTHERS[2].0, SHIFT_JIS, "iconv -f CP932 -t UTF-8 OLD > NEW, or add --encoding Shift_JIS"),
        (OTHERS[6].0, EUC_KR, "iconv -f CP949 -t UTF-8 OLD > NEW, or add --encoding EUC-KR"),
        (OTHERS[8].0, WINDOWS_1251, "iconv -f windows-1251 -t UTF-8 OLD > NEW, or add --encoding windows-1251"),
        (OTHERS[12].0, WINDOWS_1252, "iconv -f windows-1252 -t UTF-8 OLD > NEW, or add --encoding windows-1252"),
    ] {
        let yaml = encoded(&format!("# prompts\r\n- a cat\r\n- {text}\r\n"), encoding);
        let mistakes = open_with("p.yaml", &yaml, |_| ()).expect_err("it is not certain");
        assert!(mistakes[0].starts_with("p:3: ") && mistakes[0].ends_with(command), "{mistakes:?}");
        let label = command.rsplit_once(' ').expect("it is the last word").1;
        let told = open_with("p.yaml", &yaml, |source| source.encoding = label.parse().ok());
        assert_eq!(prompts(told), ["a cat", text], "and the way out is right");
    }
}
