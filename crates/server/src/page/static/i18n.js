// The words of the page in English and Chinese.

import { load, save } from "./storage.js";

const EN = {
  tagline: "Every message once, in order, on every device.",
  who: "Who are you?",
  name: "Name",
  nameHint: "for example: alice",
  enter: "Start chatting",
  recent: "Recently on this browser",
  forget: "Forget {0}",
  open: "There are no passwords here: whoever reaches this page can be anyone. Try it out, or keep it on a network you trust.",
  switch: "Switch member",
  you: "You are {0}",
  chats: "Conversations",
  newChat: "New conversation",
  find: "Find a conversation",
  noFind: "No conversation has this in its name.",
  developer: "Developer view",
  more: "Show more",
  direct: "Direct",
  group: "Group",
  close: "Close",
  to: "Who do you want to write to?",
  groupName: "Name of the group",
  members: "Members",
  membersHint: "Type a name and press Enter",
  addMember: "Add",
  removeMember: "Remove {0}",
  you2: "you",
  start: "Start",
  save: "Save",
  membersNote: "A group is whoever a message is sent to. The next message goes to these members.",
  count: "{0} members",
  countOne: "1 member",
  selfNote: "Notes to yourself",
  other: "Other messages",
  otherNote: "Messages of other clients that do not say which conversation they belong to.",
  emptyTitle: "Hello, {0}",
  emptyText: "Your inbox is empty. Write to somebody, or open this page in a second window as another member and write to {0} from there.",
  openAs: "Open a second window as {0}",
  pick: "Choose a conversation",
  pickText: "Messages arrive by themselves. Every conversation is also kept as history of its own: scroll back as far as you like.",
  noMessages: "No messages yet",
  noMessagesText: "What you send goes into this conversation once, and into the inbox of everyone in it.",
  beginning: "This is where the conversation begins",
  loadingOlder: "Loading earlier messages…",
  write: "Write a message",
  writeTo: "Write to {0}",
  send: "Send",
  sending: "Sending…",
  waiting: "Not sent yet: {0}. Trying again.",
  failed: "Not sent: {0}",
  missed: "Not delivered to {0}",
  sent: "Sent",
  retry: "Try again",
  discard: "Discard",
  newest: "Newest messages",
  newCount: "{0} new",
  unreadHere: "New",
  unread: "{0} unread",
  goto: "Go to a message",
  gotoHint: "Number in this conversation, 1 to {0}",
  first: "Oldest",
  last: "Newest",
  go: "Go",
  back: "Back",
  seqTitle: "Number {0} of the conversation",
  inboxTitle: "Number {0} of your inbox",
  inbox: "inbox {0}",
  live: "Up to date",
  offline: "No connection to the server. Trying again.",
  syncing: "Syncing: {0} of {1}",
  restarted: "The server's data has changed. Synced again from the start.",
  historyBroken: "Could not read the history: {0}",
  yesterday: "Yesterday",
  today: "Today",
  unknown: "unknown sender",
  language: "中文",
  languageTitle: "切换到中文",
  theme: "Theme: {0}",
  auto: "as the system",
  light: "light",
  dark: "dark",
  newFrom: "{0}: {1}",
  devText: "The calls every client makes, one page at a time.",
  sync: "Sync",
  singleHistory: "Direct history",
  groupHistory: "Group history",
  sendTab: "Send",
  member: "Member",
  from: "From",
  toField: "To",
  lastRead: "Last read",
  pageSize: "Page size",
  read: "Read page",
  nextPage: "Next page",
  prevPage: "Previous page",
  fromStart: "From the start",
  request: "Request",
  status: "Status",
  time: "Time",
  size: "Size",
  entries: "Entries",
  seq: "Sequence",
  message: "Message",
  contiguous: "contiguous",
  gap: "gap",
  gapText: "The first entry is not last read + 1: entries before it are gone.",
  emptyPage: "Nothing after {0}: the reader is up to date.",
  copy: "Copy as curl",
  copied: "Copied",
  key: "Idempotency key",
  newKey: "New key",
  keyNote: "Sending again with the same key returns the first answer and stores nothing.",
  reply: "Reply",
  membersList: "Members, separated by commas",
  syncNote: "A device applies an entry when its sequence is the last one + 1, then asks for what comes after.",
  historyNote: "One copy of each message, whoever reads it.",
  devWindow: "Read anything: a page of the answer appears here.",
};

const ZH = {
  tagline: "每条消息只存一次，顺序一致，每台设备都不会漏。",
  who: "你是谁？",
  name: "名字",
  nameHint: "例如：小明",
  enter: "开始聊天",
  recent: "最近在此浏览器使用",
  forget: "忘记 {0}",
  open: "这里没有密码：能打开此页面的人可以用任何名字。请仅用于试用，或放在可信的网络中。",
  switch: "切换成员",
  you: "你是 {0}",
  chats: "会话",
  newChat: "新会话",
  find: "查找会话",
  noFind: "没有名称匹配的会话。",
  developer: "开发者视图",
  more: "显示更多",
  direct: "单聊",
  group: "群聊",
  close: "关闭",
  to: "想发给谁？",
  groupName: "群名称",
  members: "成员",
  membersHint: "输入名字后按回车",
  addMember: "添加",
  removeMember: "移除 {0}",
  you2: "你",
  start: "开始",
  save: "保存",
  membersNote: "群由每条消息的接收者决定。下一条消息会发给这些成员。",
  count: "{0} 位成员",
  countOne: "1 位成员",
  selfNote: "写给自己的笔记",
  other: "其他消息",
  otherNote: "来自其他客户端、未注明所属会话的消息。",
  emptyTitle: "你好，{0}",
  emptyText: "你的收件箱是空的。给别人发条消息，或在第二个窗口以另一位成员的身份打开此页面，从那里发给 {0}。",
  openAs: "以 {0} 的身份打开第二个窗口",
  pick: "选择一个会话",
  pickText: "新消息会自动出现。每个会话还单独保存一份历史，可以一直向上翻。",
  noMessages: "还没有消息",
  noMessagesText: "你发送的消息在会话中只存一份，并送达其中每个人的收件箱。",
  beginning: "会话从这里开始",
  loadingOlder: "正在加载更早的消息…",
  write: "输入消息",
  writeTo: "发给 {0}",
  send: "发送",
  sending: "发送中…",
  waiting: "尚未发出：{0}。正在重试。",
  failed: "未发出：{0}",
  missed: "未送达 {0}",
  sent: "已发送",
  retry: "重试",
  discard: "放弃",
  newest: "最新消息",
  newCount: "{0} 条新消息",
  unreadHere: "新消息",
  unread: "{0} 条未读",
  goto: "跳转到某条消息",
  gotoHint: "会话中的序号，1 到 {0}",
  first: "最早",
  last: "最新",
  go: "跳转",
  back: "返回",
  seqTitle: "会话中的第 {0} 条",
  inboxTitle: "你的收件箱中的第 {0} 条",
  inbox: "收件箱 {0}",
  live: "已是最新",
  offline: "无法连接服务器，正在重试。",
  syncing: "正在同步：{0} / {1}",
  restarted: "服务器的数据已变化，已从头重新同步。",
  historyBroken: "无法读取历史：{0}",
  yesterday: "昨天",
  today: "今天",
  unknown: "发送者未知",
  language: "EN",
  languageTitle: "Switch to English",
  theme: "主题：{0}",
  auto: "跟随系统",
  light: "浅色",
  dark: "深色",
  newFrom: "{0}：{1}",
  devText: "任何客户端都会用到的调用，逐页查看。",
  sync: "同步",
  singleHistory: "单聊历史",
  groupHistory: "群聊历史",
  sendTab: "发送",
  member: "成员",
  from: "发送者",
  toField: "接收者",
  lastRead: "已读到",
  pageSize: "每页条数",
  read: "读取此页",
  nextPage: "下一页",
  prevPage: "上一页",
  fromStart: "从头开始",
  request: "请求",
  status: "状态",
  time: "耗时",
  size: "大小",
  entries: "条目",
  seq: "序号",
  message: "消息",
  contiguous: "连续",
  gap: "有缺口",
  gapText: "第一条不是“已读到 + 1”：更早的条目已被清除。",
  emptyPage: "{0} 之后没有内容：已是最新。",
  copy: "复制为 curl",
  copied: "已复制",
  key: "幂等键",
  newKey: "换新键",
  keyNote: "用同一个键再次发送会得到第一次的应答，不会重复存储。",
  reply: "应答",
  membersList: "成员，用逗号分隔",
  syncNote: "设备只应用序号为“上一条 + 1”的条目，然后继续请求其后的内容。",
  historyNote: "每条消息只有一份，谁来读都一样。",
  devWindow: "读取任意一页，应答会显示在这里。",
};

let language = "en";
let words = EN;

export const lang = () => language;

export function setLanguage(to) {
  language = to === "zh" ? "zh" : "en";
  words = language === "zh" ? ZH : EN;
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
}

export function chooseLanguage(to) {
  save("language", to);
  setLanguage(to);
}

/** The language chosen before, or the browser's. */
export function firstLanguage() {
  const chosen = load("language");
  const preferred = chosen || (navigator.languages || [navigator.language]).join(" ");
  const zh = preferred.search(/\bzh\b/i);
  const en = preferred.search(/\ben\b/i);
  setLanguage(zh >= 0 && (en < 0 || zh < en) ? "zh" : "en");
}

/** The words for `key`, with the values in place of {0}, {1}, … */
export function t(key, ...values) {
  return words[key].replace(/\{(\d)\}/g, (_, index) => values[index]);
}

const format = (options) => new Intl.DateTimeFormat(language === "zh" ? "zh-CN" : "en", options);

export const clock = (at) => format({ hour: "2-digit", minute: "2-digit", hour12: false }).format(at);

export const moment = (at) => format({ dateStyle: "medium", timeStyle: "medium" }).format(at);

const dayOf = (at) => new Date(at).toDateString();

/** Whether two times lie on different days of this place. */
export const otherDay = (a, b) => dayOf(a) !== dayOf(b);

export function day(at) {
  if (dayOf(at) === dayOf(Date.now())) return t("today");
  if (dayOf(at) === dayOf(Date.now() - 86400000)) return t("yesterday");
  return format({ dateStyle: "long" }).format(at);
}

/** As short as fits beside a name: the time today, the date otherwise. */
export function short(at) {
  if (dayOf(at) === dayOf(Date.now())) return clock(at);
  const sameYear = new Date(at).getFullYear() === new Date().getFullYear();
  return format(sameYear ? { month: "short", day: "numeric" } : { dateStyle: "short" }).format(at);
}

export const number = (value) => new Intl.NumberFormat(language === "zh" ? "zh-CN" : "en").format(value);
