//! Encoding detection for a file that is not UTF-8: certainly GB18030, or refused with a command that converts it.
//!
//! A detector alone is not enough. Short Korean, Japanese and Russian texts are valid GB18030 too, and would turn into unrelated Chinese
//! words. So three checks must agree: all bytes are valid in GB18030, the detector reports GB18030, and the characters are common.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{self, BufRead, Read};
use std::path::Path;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::DecoderResult;

use crate::manifest::diagnostics::{Issue, Location, wrong};
use crate::manifest::input::bytes::DecompressedReader;
use crate::manifest::input::encoding::{Encoding, Unreadable, n_line_ends, of_head};
use crate::manifest::input::text::ManifestInput;

/// Encoding of a file that is not UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DetectedEncoding {
    Certain(Encoding),
    /// Line of the first byte that is not UTF-8, and the most likely encoding.
    Doubtful {
        line: u64,
        likely: Encoding,
    },
    /// Line of the first byte that is not UTF-8, in a file whose text before that byte is certainly UTF-8.
    Mixed {
        line: u64,
    },
}

/// Characters beyond ASCII after which detection stops. Later characters are still checked against the encoding as they are decoded.
const EVIDENCE_MAX: usize = 1 << 20;

/// Reads as much of the file as detection needs.
pub(crate) fn look(path: &Path) -> io::Result<DetectedEncoding> {
    let mut bytes = DecompressedReader::open(path)?;
    let mut witnesses = EncodingChecks::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let n_bytes = bytes.read(&mut chunk)?;
        witnesses.hear(&chunk[..n_bytes], n_bytes == 0);
        if n_bytes == 0 || witnesses.evidence.n_chars > EVIDENCE_MAX {
            break;
        }
    }
    witnesses.verdict(|| first_bad_line(ManifestInput::open(path, Some(Encoding::UTF8))?))
}

/// Decodes a small file in memory, in any encoding, and returns that encoding too. `wanted` is the encoding that the user named.
/// An error gives the location and the reason.
pub(crate) fn text(bytes: &[u8], wanted: Option<Encoding>) -> Result<(Cow<'_, str>, Encoding), (Location, Issue)> {
    let (mut encoding, mark_len) = of_head(bytes, wanted).map_err(|unreadable| unreadable.told())?;
    let bytes = &bytes[mark_len..];
    if encoding == Encoding::UTF8 {
        if let Ok(text) = str::from_utf8(bytes) {
            return Ok((text.into(), encoding));
        }
        if wanted.is_some() {
            return Err(Unreadable::NotUtf8.told());
        }
        let mut witnesses = EncodingChecks::new();
        witnesses.hear(bytes, true);
        let n_good = str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
        match witnesses.verdict(|| first_bad_line(&bytes[..n_good])) {
            Ok(DetectedEncoding::Certain(certain)) => encoding = certain,
            Ok(DetectedEncoding::Doubtful { line, likely }) => return Err(refused(line, Some(likely))),
            Ok(DetectedEncoding::Mixed { line }) => return Err(refused(line, None)),
            Err(_) => return Err(Unreadable::NotUtf8.told()),
        }
    }
    let mut text = String::with_capacity(3 * bytes.len() + 16);
    match encoding.decoder().decode_to_string_without_replacement(bytes, &mut text, true).0 {
        DecoderResult::InputEmpty => Ok((text.into(), encoding)),
        DecoderResult::OutputFull | DecoderResult::Malformed(..) => Err((
            Location::Line(n_line_ends(text.as_bytes()) + 1),
            wrong(format!("this line is not {encoding} text"), "save the file as UTF-8"),
        )),
    }
}

/// Checks that must agree.
struct EncodingChecks {
    detector: EncodingDetector,
    evidence: Gb18030Statistics,
}

impl EncodingChecks {
    fn new() -> Self {
        Self { detector: EncodingDetector::new(Iso2022JpDetection::Deny), evidence: Gb18030Statistics::default() }
    }

    fn hear(&mut self, bytes: &[u8], is_last: bool) {
        self.detector.feed(bytes, is_last);
        self.evidence.add(bytes);
    }

    fn verdict(&self, first_bad_line: impl FnOnce() -> io::Result<(u64, bool)>) -> io::Result<DetectedEncoding> {
        let likely = Encoding::new(self.detector.guess(None, Utf8Detection::Deny));
        if likely == Encoding::GB18030 && self.evidence.is_convincing() {
            return Ok(DetectedEncoding::Certain(likely));
        }
        let (line, is_after_utf8) = first_bad_line()?;
        Ok(if is_after_utf8 { DetectedEncoding::Mixed { line } } else { DetectedEncoding::Doubtful { line, likely } })
    }
}

/// Returns the line of the first byte that is not UTF-8, and whether certain UTF-8 precedes that byte.
fn first_bad_line(mut input: impl BufRead) -> io::Result<(u64, bool)> {
    let mut line = 1;
    let mut is_after_utf8 = false;
    loop {
        match input.fill_buf() {
            Ok([]) => return Ok((line, is_after_utf8)),
            Ok(text) => {
                line += n_line_ends(text);
                // Detects sequences of three bytes or more. Two bytes can form a valid UTF-8 character by chance, but three cannot.
                is_after_utf8 |= text.iter().any(|byte| *byte >= 0xe0);
                let n_bytes = text.len();
                input.consume(n_bytes);
            }
            Err(error) if Unreadable::of(&error) == Some(&Unreadable::NotUtf8) => {
                return Ok((line, is_after_utf8));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Returns the location and the mistake for a file whose encoding is not certain.
pub(crate) fn refusal(line: u64, likely: Option<Encoding>) -> (Location, Issue) {
    let (place, Issue { what, remedy }) = refused(line, likely);
    let flag = likely.map_or(String::new(), |likely| format!(", or add --encoding {likely}"));
    (place, wrong(what, remedy + &flag))
}

/// Returns the same location and mistake as `refusal`, for a file that has no `--encoding` option.
fn refused(line: u64, likely: Option<Encoding>) -> (Location, Issue) {
    let wrong = match likely.map(iconv_name) {
        None => {
            wrong("this line is not UTF-8 text, unlike those before it", "retype it in an editor that shows it garbled")
        }
        Some(name) => wrong(
            format!("this line is not UTF-8 text; the file looks like {name}, but that is not certain"),
            format!("convert it: iconv -f {name} -t UTF-8 OLD > NEW"),
        ),
    };
    (Location::Line(line), wrong)
}

/// Returns iconv's name of the encoding. The Web standard uses `Shift_JIS` and `EUC-KR` for the Windows variants of these encodings.
fn iconv_name(encoding: Encoding) -> &'static str {
    match encoding.name() {
        "gb18030" => "GB18030",
        "Shift_JIS" => "CP932",
        "EUC-KR" => "CP949",
        name => name,
    }
}

/// Statistics of a file's bytes for and against GB18030.
#[derive(Debug)]
struct Gb18030Statistics {
    /// Byte pairs of the most frequent characters, in Chinese texts and in prompts.
    common: HashSet<[u8; 2]>,
    /// First byte of a character whose second byte has not been read.
    lead: Option<u8>,
    /// Bytes still to be read of a four-byte character.
    n_to_come: u8,
    is_broken: bool,
    n_chars: usize,
    n_usual: usize,
    n_words: usize,
    n_common: usize,
}

impl Default for Gb18030Statistics {
    fn default() -> Self {
        let (bytes, _, _) = encoding_rs::GB18030.encode(COMMON);
        let common = bytes.as_chunks::<2>().0.iter().copied().collect();
        let (n_chars, n_usual, n_words, n_common) = (0, 0, 0, 0);
        Self { common, lead: None, n_to_come: 0, is_broken: false, n_chars, n_usual, n_words, n_common }
    }
}

impl Gb18030Statistics {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match (self.lead.take(), byte) {
                _ if self.n_to_come > 0 => self.n_to_come -= 1,
                (None, 0..=0x7f) => {}
                (None, 0x81..=0xfe) => self.lead = Some(*byte),
                (Some(_), b'0'..=b'9') => {
                    self.n_to_come = 2;
                    self.n_chars += 1;
                }
                (Some(lead), 0x40..=0x7e | 0x80..=0xfe) => self.add_pair([lead, *byte]),
                (None | Some(_), _) => self.is_broken = true,
            }
        }
    }

    /// Counts a pair. Usual pairs in GB2312 are punctuation (rows 1 to 3) and the frequent half of characters (rows 16 to 55).
    fn add_pair(&mut self, pair: [u8; 2]) {
        self.n_chars += 1;
        let [lead, trail] = pair;
        if trail < 0xa1 {
            return;
        }
        self.n_usual += usize::from(matches!(lead, 0xa1..=0xa3 | 0xb0..=0xd7));
        if lead >= 0xb0 {
            self.n_words += 1;
            self.n_common += usize::from(self.common.contains(&pair));
        }
    }

    /// Returns whether nearly all characters are usual and about every third one is among the most frequent.
    fn is_convincing(&self) -> bool {
        let is_whole = !self.is_broken && self.lead.is_none() && self.n_to_come == 0;
        let is_cut = self.n_chars > EVIDENCE_MAX && !self.is_broken;
        (is_whole || is_cut)
            && self.n_words >= WORDS_MIN
            && self.n_usual * 100 >= self.n_chars * USUAL_PERCENT_MIN
            && self.n_common * 100 >= self.n_words * COMMON_PERCENT_MIN
    }
}

/// Minimum of Chinese characters for a certain result.
const WORDS_MIN: usize = 2;

/// Minimum share of usual characters. Real texts have 93 percent and more, and so does a list of rare plants.
const USUAL_PERCENT_MIN: usize = 90;

/// Minimum share of frequent characters. Real texts and word lists have 45 percent and more; other languages read as Chinese, 20 and less.
const COMMON_PERCENT_MIN: usize = 40;

/// Most frequent characters of Chinese texts and of prompts.
const COMMON: &str = "\
的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如\
都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高\
间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解\
水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队\
形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清\
今切院让识候带导争运笔画图照片风景夜城村街树花草木叶森林河湖江沙石云雨雪雾冰火星空阳夕晨春夏秋冬红黄蓝绿紫黑灰粉橙青银彩暗亮温暖冷影\
猫狗鸟鱼龙虎兔熊鹿牛羊鸡只条匹座幅位坐站跑跳飞睡穿戴拿看着衣服裙帽鞋发脸眼睛手男孩少女人物老肖像写真特近远全景镜头视角俯仰特细节质感胶\
油水墨素描漫动画插卡通赛博朋克未来科幻古典代建筑房屋宫殿寺庙桥塔船车窗门灯桌椅杯茶酒饭菜水果蛋糕玻璃金属木质背景前景中央柔和逼真超高清\
分辨率极简主义风格艺术大师作品氛围梦幻神秘宇宙机器复杂精致可爱美丽一二三四五六七八九十百千双半左右上下里外旁边的毛橘长短圆方尾巴竹";
