//! The compression of the Redirect binding (RFC 1951).

/// A text in blocks that are stored without compression.
pub(super) fn deflated(text: &str) -> Vec<u8> {
    let chunks: Vec<_> = text.as_bytes().chunks(usize::from(u16::MAX)).collect();
    let mut bytes = Vec::new();
    for (at, chunk) in chunks.iter().enumerate() {
        let length = u16::try_from(chunk.len()).unwrap();
        bytes.push(u8::from(at + 1 == chunks.len()));
        bytes.extend(length.to_le_bytes());
        bytes.extend((!length).to_le_bytes());
        bytes.extend_from_slice(chunk);
    }
    bytes
}

/// The text in compressed bytes of any kind.
pub(super) fn inflated(bytes: &[u8]) -> String {
    let mut reader = Reader { bytes, at: 0 };
    let mut text = Vec::new();
    loop {
        let is_last = reader.bits(1) == 1;
        match reader.bits(2) {
            0 => reader.stored(&mut text),
            1 => {
                let lengths: Vec<_> = (0..288).map(fixed_length).collect();
                reader.block(&Codes::of(&lengths), &Codes::of(&[5; 30]), &mut text);
            }
            2 => {
                let (literals, distances) = reader.dynamic_codes();
                reader.block(&literals, &distances, &mut text);
            }
            kind => panic!("a block of type {kind}"),
        }
        if is_last {
            return String::from_utf8(text).unwrap();
        }
    }
}

fn fixed_length(symbol: usize) -> u8 {
    match symbol {
        0..144 => 8,
        144..256 => 9,
        256..280 => 7,
        _ => 8,
    }
}

/// A prefix code: the symbols in the order of their codes, and how many there are of each length.
struct Codes {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Codes {
    fn of(lengths: &[u8]) -> Self {
        let mut counts = [0; 16];
        let mut symbols = Vec::new();
        for length in 1..16 {
            let with_length = lengths.iter().enumerate();
            let with_length = with_length.filter(|(_, it)| usize::from(**it) == length);
            let before = symbols.len();
            symbols.extend(with_length.map(|(symbol, _)| symbol));
            counts[length] = symbols.len() - before;
        }
        Self { counts, symbols }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// The number of bits that were read.
    at: usize,
}

impl Reader<'_> {
    fn bits(&mut self, count: usize) -> usize {
        (0..count).fold(0, |value, place| value | self.bit() << place)
    }

    fn bit(&mut self) -> usize {
        let bit = self.bytes[self.at / 8] >> (self.at % 8) & 1;
        self.at += 1;
        usize::from(bit)
    }

    fn symbol(&mut self, codes: &Codes) -> usize {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &codes.counts[1..] {
            code |= self.bit();
            if code < first + count {
                return codes.symbols[index + code - first];
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        panic!("no such code");
    }

    fn stored(&mut self, text: &mut Vec<u8>) {
        let start = self.at.div_ceil(8);
        let length = u16::from_le_bytes([self.bytes[start], self.bytes[start + 1]]);
        let content = start + 4;
        let end = content + usize::from(length);
        text.extend_from_slice(&self.bytes[content..end]);
        self.at = end * 8;
    }

    fn dynamic_codes(&mut self) -> (Codes, Codes) {
        const ORDER: [usize; 19] = [
            16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
        ];
        let literals = self.bits(5) + 257;
        let distances = self.bits(5) + 1;
        let mut lengths = [0; 19];
        for place in &ORDER[..self.bits(4) + 4] {
            lengths[*place] = u8::try_from(self.bits(3)).unwrap();
        }
        let codes = Codes::of(&lengths);
        let mut lengths: Vec<u8> = Vec::new();
        while lengths.len() < literals + distances {
            let (value, times) = match self.symbol(&codes) {
                16 => (*lengths.last().unwrap(), self.bits(2) + 3),
                17 => (0, self.bits(3) + 3),
                18 => (0, self.bits(7) + 11),
                length => (u8::try_from(length).unwrap(), 1),
            };
            lengths.resize(lengths.len() + times, value);
        }
        let (literals, distances) = lengths.split_at(literals);
        (Codes::of(literals), Codes::of(distances))
    }

    fn block(&mut self, literals: &Codes, distances: &Codes, text: &mut Vec<u8>) {
        loop {
            let symbol = self.symbol(literals);
            match symbol {
                0..256 => text.push(u8::try_from(symbol).unwrap()),
                256 => return,
                _ => {
                    let length = self.length(symbol - 257);
                    let symbol = self.symbol(distances);
                    let distance = self.distance(symbol);
                    for _ in 0..length {
                        text.push(text[text.len() - distance]);
                    }
                }
            }
        }
    }

    /// Four symbols share a number of extra bits, which increases by one.
    fn length(&mut self, symbol: usize) -> usize {
        match symbol {
            0..8 => symbol + 3,
            28 => 258,
            _ => {
                let extra = symbol / 4 - 1;
                ((4 + symbol % 4) << extra) + 3 + self.bits(extra)
            }
        }
    }

    /// Two symbols share a number of extra bits.
    fn distance(&mut self, symbol: usize) -> usize {
        match symbol {
            0..4 => symbol + 1,
            _ => {
                let extra = symbol / 2 - 1;
                ((2 + symbol % 2) << extra) + 1 + self.bits(extra)
            }
        }
    }
}

#[test]
fn compressed_texts_are_read() {
    for text in ["a", "<samlp:AuthnRequest/>", &"ab".repeat(70_000)] {
        assert_eq!(inflated(&deflated(text)), text);
    }
    // What zlib makes of these texts: fixed codes, and dynamic ones.
    let fixed = "4b4c4a4e042300";
    let dynamic = "ad8cc109803010045b919421b9035bb083d910f0a14149d2bf670ffe669661c966804c720509e99b\
                   9248460e072fc851a21059081e009debbcd76d8ea3edf599b58f857fef5e";
    let bytes = |hex: &str| -> Vec<u8> {
        let pairs = hex.as_bytes().chunks(2);
        let digits = pairs.map(|pair| std::str::from_utf8(pair).unwrap());
        digits
            .map(|digits| u8::from_str_radix(digits, 16).unwrap())
            .collect()
    };
    assert_eq!(inflated(&bytes(fixed)), "abcabcabc");
    let text = "a<==aaab=bb>b=aababb<==a\"ba\"=a<abaaa>cab>ab\"aca=bbcaba>a=baasamlp:AuthnRequest ";
    assert_eq!(inflated(&bytes(dynamic)), text.repeat(2));
}
