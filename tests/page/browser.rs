//! A browser with windows, as people use it: look, wait, click, type.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use serde_json::{Value, json};

use super::webdriver::Driver;

/// One browser at a time: several at once would only take each other's processor.
static TURN: Mutex<()> = Mutex::new(());

/// A browser and the server whose page it shows.
pub struct Browser {
    driver: Driver,
    server: SocketAddr,
    _turn: MutexGuard<'static, ()>,
}

impl Browser {
    pub fn start(server: SocketAddr) -> Browser {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Browser { driver: Driver::start(), server, _turn: turn }
    }

    /// A new window at an address of the page, for example `#/alice`.
    pub fn open(&self, address: &str) -> Window<'_> {
        let new = self.driver.command("POST", "/window/new", &json!({"type": "window"}));
        let window = Window { browser: self, handle: new["handle"].as_str().unwrap().to_owned() };
        window.go(address);
        window
    }

    /// Asserts that the page logged no error and broke no rule of its policy.
    #[track_caller]
    pub fn quiet(&self) {
        let log = self.driver.command("POST", "/se/log", &json!({"type": "browser"}));
        let bad = |entry: &&Value| entry["level"] == "SEVERE" || entry["level"] == "WARNING";
        let bad: Vec<&Value> = log.as_array().unwrap().iter().filter(bad).collect();
        assert!(bad.is_empty(), "the console shows {bad:#?}");
    }

    /// What the console holds; reading empties it.
    pub fn console(&self) -> String {
        self.driver.command("POST", "/se/log", &json!({"type": "browser"})).to_string()
    }
}

/// One window of the browser.
pub struct Window<'a> {
    browser: &'a Browser,
    handle: String,
}

impl Window<'_> {
    #[track_caller]
    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        self.browser.driver.command("POST", "/window", &json!({"handle": self.handle}));
        self.browser.driver.command(method, path, body)
    }

    /// Goes to an address of the page.
    #[track_caller]
    pub fn go(&self, address: &str) {
        let url = format!("http://{}/{address}", self.browser.server);
        self.command("POST", "/url", &json!({"url": url}));
    }

    /// Loads the page again.
    #[track_caller]
    pub fn reload(&self) {
        self.command("POST", "/refresh", &json!({}));
    }

    /// The value of a JavaScript expression.
    #[track_caller]
    pub fn value(&self, expression: &str) -> Value {
        let script = format!("return ({expression})");
        self.command("POST", "/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Waits, inside the page, until an expression is true, and returns its value. What is not
    /// there yet counts as not true.
    #[track_caller]
    pub fn until(&self, expression: &str) -> Value {
        let script = format!(
            "const done = arguments[0]; const end = performance.now() + 30000; \
             const look = () => {{ \
               let value; try {{ value = ({expression}); }} catch {{ }} \
               if (value) return done({{value}}); \
               const seen = document.body.innerText.slice(-2000); \
               if (performance.now() > end) return done({{seen}}); \
               setTimeout(look, 20); \
             }}; look();"
        );
        let call = json!({"script": script, "args": []});
        let mut answer = self.command("POST", "/execute/async", &call);
        assert!(
            answer.get("value").is_some(),
            "never true: {expression}\nthe page shows:\n{}\nthe console: {}",
            answer["seen"].as_str().unwrap_or_default(),
            self.browser.console(),
        );
        answer["value"].take()
    }

    /// Waits until the page shows a text.
    #[track_caller]
    pub fn sees(&self, text: &str) {
        self.until(&format!("document.body.innerText.includes({})", json!(text)));
    }

    /// Waits until the open conversation shows exactly these messages, in this order.
    #[track_caller]
    pub fn shows(&self, texts: &[&str]) {
        let wanted = json!(texts).to_string();
        self.until(&format!(
            "JSON.stringify([...document.querySelectorAll('[data-seq] .text')]\
             .map(e => e.textContent)) === JSON.stringify({wanted})"
        ));
    }

    #[track_caller]
    fn element(&self, css: &str) -> String {
        self.until(&format!("document.querySelector({})", json!(css)));
        let using = json!({"using": "css selector", "value": css});
        let found = self.command("POST", "/element", &using);
        let id = found.as_object().unwrap().values().next().unwrap();
        id.as_str().unwrap().to_owned()
    }

    /// Does something to an element. The page may make the element anew between looking for it
    /// and touching it, which no person would notice, so look again then.
    #[track_caller]
    fn touch(&self, css: &str, action: &str, body: &Value) {
        for _ in 0..20 {
            let path = format!("/element/{}/{action}", self.element(css));
            match self.browser.driver.attempt("POST", &path, body) {
                Ok(_) => return,
                Err(error) if error.contains("stale element") => {}
                Err(error) => panic!("{action} {css}: {error}"),
            }
        }
        panic!("{css} never stays");
    }

    /// Clicks as a person does: the element must be visible and not covered.
    #[track_caller]
    pub fn click(&self, css: &str) {
        self.touch(css, "click", &json!({}));
    }

    /// Types into a field; `\n` is the Enter key.
    #[track_caller]
    pub fn types(&self, css: &str, text: &str) {
        self.touch(css, "value", &json!({"text": text.replace('\n', "\u{e007}")}));
    }

    /// Replaces what stands in a field.
    #[track_caller]
    pub fn fills(&self, css: &str, text: &str) {
        self.touch(css, "clear", &json!({}));
        self.types(css, text);
    }

    /// Writes a message into the open conversation and presses Enter.
    #[track_caller]
    pub fn says(&self, text: &str) {
        self.types("#message", &format!("{text}\n"));
    }

    /// Pretends to be a screen of this size; phones have a touch screen of two dots a pixel.
    pub fn size(&self, width: u32, height: u32, phone: bool) {
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            &json!({
                "width": width, "height": height, "mobile": phone,
                "deviceScaleFactor": if phone { 2 } else { 1 },
            }),
        );
        self.until(&format!("innerWidth === {width}"));
    }

    /// Pretends that the system prefers `light` or `dark`.
    pub fn system_theme(&self, theme: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": theme});
        self.devtools("Emulation.setEmulatedMedia", &json!({"features": [feature]}));
    }

    fn devtools(&self, command: &str, parameters: &Value) {
        self.command("POST", "/goog/cdp/execute", &json!({"cmd": command, "params": parameters}));
    }

    /// Asserts that nothing was asked of anybody but the server.
    #[track_caller]
    pub fn stays_at_home(&self) {
        let others = self.value(
            "performance.getEntries().filter(e => e.entryType === 'resource')\
             .map(e => e.name).filter(name => new URL(name).origin !== location.origin)",
        );
        assert_eq!(others, json!([]), "requests to other origins");
    }

    /// Writes what the window shows to `NAME.png`.
    pub fn screenshot(&self, folder: &Path, name: &str) {
        let image = self.command("GET", "/screenshot", &Value::Null);
        let engine = base64::engine::general_purpose::STANDARD;
        let bytes = engine.decode(image.as_str().unwrap()).unwrap();
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(format!("{name}.png")), bytes).unwrap();
    }
}
