// The language of the page, its numbers and times.
import english from './en.js';
import korean from './ko.js';

const catalogues = {en: english, ko: korean};

export let language = 'en';
export let words = english;
let plural, whole, tenth, clock;

// speak chooses the language.
export function speak(name) {
  language = name in catalogues ? name : 'en';
  words = catalogues[language];
  plural = new Intl.PluralRules(language);
  whole = new Intl.NumberFormat(language, {maximumFractionDigits: 0});
  tenth = new Intl.NumberFormat(language, {minimumFractionDigits: 1, maximumFractionDigits: 1});
  clock = new Intl.DateTimeFormat(language, {timeStyle: 'medium', hourCycle: 'h23'});
}

// others returns the other languages, by name.
export const others = () => Object.entries(catalogues).filter(([name]) => name !== language);

// say fills in a text. Of one with a plural, values.n chooses the form.
export function say(text, values = {}) {
  if (typeof text !== 'string') text = text[plural.select(values.n)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === 'number' ? number(value) : value;
  });
}

// number formats a count, or a rate with a decimal while it is small.
export function number(n) {
  if (n === undefined || n === null) return '–';
  return Number.isInteger(n) || n >= 10 ? whole.format(n) : tenth.format(n);
}

// entry returns an entry of a table by a name from outside, which may be that of no entry.
export const entry = (table, name) => Object.hasOwn(table, name) ? table[name] : undefined;

const unit = (name, n) => say(words.units[name], {n: String(n)});

// duration formats seconds in at most two units.
export function duration(seconds) {
  if (seconds === undefined || seconds === null) return '–';
  const whole = Math.floor(seconds);
  if (whole >= 86400) return `${unit('d', Math.floor(whole / 86400))} ${unit('h', Math.floor(whole % 86400 / 3600))}`;
  if (whole >= 3600) return `${unit('h', Math.floor(whole / 3600))} ${unit('min', Math.floor(whole % 3600 / 60))}`;
  if (whole >= 60) return `${unit('min', Math.floor(whole / 60))} ${unit('s', whole % 60)}`;
  if (whole >= 10) return unit('s', whole);
  if (seconds >= 1) return unit('s', seconds.toFixed(1));
  if (seconds >= 0.00995) return unit('ms', Math.round(seconds * 1e3));
  if (seconds >= 0.001) return unit('ms', (seconds * 1e3).toFixed(1));
  return unit('us', Math.round(seconds * 1e6));
}

// wait formats seconds of a wait that is shown while it goes on: whole ones, so that it does not flicker.
export const wait = seconds => seconds < 60 ? unit('s', Math.max(0, Math.floor(seconds))) : duration(seconds);

// time formats the agent's time in the time zone of the browser.
export const time = date => clock.format(date);
