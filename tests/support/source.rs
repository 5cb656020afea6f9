//! Rust source as a list of words, enough of it to see what is imported and called.

/// Source without comments, strings and test modules, cut into words and signs.
pub struct Code {
    tokens: Vec<String>,
}

impl Code {
    /// Takes source apart. Everything that stands under `#[cfg(test)]` is left out.
    pub fn of(text: &str) -> Self {
        Self { tokens: without_tests(&tokens(text)) }
    }

    /// The words and signs.
    pub fn words(&self) -> Vec<&str> {
        self.tokens.iter().map(String::as_str).collect()
    }

    /// Everything in one line without spaces (words next to each other run together).
    pub fn squeezed(&self) -> String {
        self.tokens.concat()
    }

    /// Whether the macro `name` (with its `!`) is called.
    pub fn calls_macro(&self, name: &str) -> bool {
        let name = name.trim_end_matches('!');
        self.tokens.windows(2).any(|pair| pair[0] == name && pair[1] == "!")
    }
}

fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    let get = |at: usize| chars.get(at).copied().unwrap_or('\0');
    while at < chars.len() {
        let char = chars[at];
        if char.is_whitespace() {
            at += 1;
        } else if char == '/' && get(at + 1) == '/' {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if char == '/' && get(at + 1) == '*' {
            at = behind_comment(&chars, at);
        } else if let Some(end) = behind_string(&chars, at) {
            tokens.push("\"\"".to_owned());
            at = end;
        } else if char == '\'' {
            // A character, or the name of a lifetime.
            if get(at + 1) == '\\' {
                at += 3;
                while at < chars.len() && chars[at - 1] != '\'' {
                    at += 1;
                }
            } else if get(at + 2) == '\'' {
                at += 3;
            } else {
                at += 1;
            }
        } else if is_word(char) {
            let start = at;
            while is_word(get(at)) {
                at += 1;
            }
            tokens.push(chars[start..at].iter().collect());
        } else if char == ':' && get(at + 1) == ':' {
            tokens.push("::".to_owned());
            at += 2;
        } else {
            tokens.push(char.to_string());
            at += 1;
        }
    }
    tokens
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn behind_comment(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                at += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    break;
                }
            }
            _ => at += 1,
        }
    }
    at
}

/// The end of the string literal that begins at `at`, if one does.
fn behind_string(chars: &[char], at: usize) -> Option<usize> {
    let mut start = at;
    while matches!(chars.get(start), Some('b' | 'c')) && start < at + 1 {
        start += 1;
    }
    if chars.get(start) == Some(&'r') {
        let hashes = chars[start + 1..].iter().take_while(|char| **char == '#').count();
        let open = start + 1 + hashes;
        if chars.get(open) != Some(&'"') {
            return None;
        }
        let mut end = open + 1;
        while end < chars.len() {
            if chars[end] == '"' && chars[end + 1..].iter().take(hashes).filter(|char| **char == '#').count() == hashes
            {
                return Some(end + 1 + hashes);
            }
            end += 1;
        }
        return Some(end);
    }
    if chars.get(start) != Some(&'"') {
        return None;
    }
    let mut end = start + 1;
    while end < chars.len() {
        match chars[end] {
            '\\' => end += 2,
            '"' => return Some(end + 1),
            _ => end += 1,
        }
    }
    Some(end)
}

fn without_tests(tokens: &[String]) -> Vec<String> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at..].iter().take(MARK.len()).eq(MARK.iter()) {
            at = behind_item(tokens, at + MARK.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// The end of the item at `at`: behind its braces, or its semicolon.
fn behind_item(tokens: &[String], mut at: usize) -> usize {
    let mut depth = 0;
    while at < tokens.len() {
        match tokens[at].as_str() {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
        at += 1;
    }
    at
}

/// Every path in the code, groups taken apart; those that begin with `super` as seen from the root: `crate::…`. `file` is the file's
/// path below `src/`.
pub fn paths(file: &str, code: &Code) -> Vec<Vec<String>> {
    let tokens = &code.tokens;
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let first = tokens[at].chars().next().unwrap_or(' ');
        let starts = first.is_alphabetic() || first == '_';
        let follows =
            at > 0 && tokens[at - 1] == "::" && at > 1 && is_word(tokens[at - 2].chars().next().unwrap_or(' '));
        if starts && !follows && tokens.get(at + 1).is_some_and(|next| next == "::") {
            collect(tokens, at, &mut Vec::new(), &mut found);
        }
    }
    found.into_iter().map(|path| from_root(file, path)).collect()
}

/// Adds the paths that begin at `at` behind `prefix`; returns where they end.
fn collect(tokens: &[String], mut at: usize, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let length = prefix.len();
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = collect(tokens, at, prefix, found);
                    // Past `as name` and the comma.
                    while tokens.get(at).is_some_and(|token| !matches!(token.as_str(), "," | "}")) {
                        at += 1;
                    }
                    if tokens.get(at).is_some_and(|token| token == ",") {
                        at += 1;
                    }
                }
                at += 1;
                break;
            }
            Some(word) if is_word(word.chars().next().unwrap_or(' ')) || word == "*" => {
                prefix.push(word.to_owned());
                at += 1;
                if tokens.get(at).is_some_and(|next| next == "::") {
                    at += 1;
                    continue;
                }
                found.push(prefix.clone());
                break;
            }
            _ => {
                found.push(prefix.clone());
                break;
            }
        }
    }
    prefix.truncate(length);
    at
}

fn from_root(file: &str, path: Vec<String>) -> Vec<String> {
    let up = path.iter().take_while(|part| *part == "super").count();
    if up == 0 {
        return path;
    }
    let mut module: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
    if module.last() == Some(&"mod") {
        module.pop();
    }
    module.truncate(module.len().saturating_sub(up));
    let root = std::iter::once("crate").chain(module).map(str::to_owned);
    root.chain(path.into_iter().skip(up)).collect()
}
