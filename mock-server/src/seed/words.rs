//! The vocabulary that records are made of.

/// Given names in plain letters.
pub const FIRST: &[&str] = &[
    "Maya", "Noah", "Aisha", "Liam", "Olivia", "Ethan", "Grace", "Samuel", "Priya", "Omar", "Hannah",
    "Lucas", "Fatima", "Daniel", "Ingrid", "Mateo", "Nadia", "Oscar", "Ruth", "Tomas", "Yusuf", "Zara",
    "Felix", "Leila", "Victor", "Wanda", "Adam", "Bella", "Carlos", "Dina", "Emil", "Farah", "George",
    "Helen", "Ivan", "Julia", "Karim", "Laura", "Marcus", "Nina",
];
/// Given names with letters beyond ASCII.
pub const FIRST_ACCENTED: &[&str] = &[
    "José",
    "Zoë",
    "Chloé",
    "Renée",
    "Søren",
    "Jürgen",
    "Łukasz",
    "Ágnes",
    "Siân",
    "Nuño",
    "Þóra",
    "İbrahim",
    "Miloš",
    "Žaneta",
    "Anaïs",
    "François",
    "Günther",
    "Márta",
    "Åsa",
    "Nguyệt",
    "Dilnozaʼ",
    "Олена",
    "Γιώργος",
    "محمد",
];
/// Given names in CJK scripts.
pub const FIRST_CJK: &[&str] = &["美咲", "太郎", "伟", "芳", "민준", "서연", "健一", "さくら"];
/// Family names in plain letters.
pub const LAST: &[&str] = &[
    "Stone",
    "Nguyen",
    "Patel",
    "Smith",
    "Garcia",
    "Kim",
    "Okafor",
    "Rossi",
    "Silva",
    "Cohen",
    "Haddad",
    "Novak",
    "Larsen",
    "Weber",
    "Dubois",
    "Kowalski",
    "Mensah",
    "Ivanova",
    "Tanaka",
    "Andersson",
    "Murphy",
    "Brown",
    "Fischer",
    "Moreau",
    "Santos",
    "Ali",
    "Chen",
    "Popescu",
    "Horvat",
    "Jensen",
    "Walker",
    "Evans",
];
/// Family names with letters beyond ASCII.
pub const LAST_ACCENTED: &[&str] = &[
    "Müller",
    "Nuñez",
    "Šimić",
    "Łęcki",
    "Ångström",
    "Brontë",
    "Çelik",
    "Gómez",
    "Høst",
    "Jiménez",
    "Kovács",
    "Lefèvre",
    "Mäkinen",
    "Nowińska",
    "Ó Súilleabháin",
    "Pérez",
    "Straße",
    "Yılmaz",
    "Ødegård",
    "Шевченко",
];
/// Family names with apostrophes, hyphens, spaces and particles.
pub const LAST_ODD: &[&str] = &[
    "O'Brien",
    "d'Arcy",
    "O’Neill",
    "Smith-Jones",
    "van der Berg",
    "de la Cruz",
    "St. John",
    "McDonald",
    "Null",
    "N'Diaye",
    "Al-Rashid",
    "Bar \"Q\" Lee",
    "Test<script>",
];
/// Family names in CJK scripts.
pub const LAST_CJK: &[&str] = &["佐藤", "鈴木", "王", "李", "김", "박", "田中", "欧阳"];
/// First words of company names.
pub const COMPANY_HEADS: &[&str] = &[
    "Northwind",
    "Blue Harbor",
    "Evergreen",
    "Silverline",
    "Redwood",
    "Cobalt",
    "Summit",
    "Lakeside",
    "Aurora",
    "Granite",
    "Meridian",
    "Pioneer",
    "Quantum",
    "Riverbend",
    "Solstice",
    "Tidewater",
    "Umbra",
    "Vertex",
    "Willow",
    "Zenith",
    "Crème",
    "Ångström",
    "Café",
];
/// Second words of company names.
pub const COMPANY_TAILS: &[&str] = &[
    "Logistics",
    "Foods",
    "Analytics",
    "Health",
    "Insurance",
    "Robotics",
    "Studios",
    "Textiles",
    "Energy",
    "Consulting",
    "Systems",
    "Partners",
    "Travel",
    "Media",
    "Biotech",
    "Construction",
];
/// Legal forms.
pub const COMPANY_FORMS: &[&str] =
    &["Inc.", "LLC", "GmbH", "Ltd", "S.A.", "AB", "Pty Ltd", "B.V.", "Oy", "K.K."];
/// Company names in CJK scripts.
pub const COMPANY_CJK: &[&str] = &["東京物流", "桜食品", "富士電機", "大阪商事"];
/// Job titles.
pub const TITLES: &[&str] = &[
    "Account Executive",
    "VP of Sales",
    "Head of Operations",
    "Buyer",
    "CTO",
    "Office Manager",
    "Ingénieure",
    "Geschäftsführer",
    "Data Analyst",
    "Founder & CEO",
    "Claims Adjuster",
    "Procurement Lead",
];
/// City, region, postal code, country, country code.
pub const PLACES: &[[&str; 5]] = &[
    ["San Francisco", "California", "94107", "United States", "US"],
    ["Austin", "Texas", "78701", "United States", "US"],
    ["São Paulo", "SP", "01310-100", "Brazil", "BR"],
    ["München", "Bayern", "80331", "Germany", "DE"],
    ["London", "England", "SW1A 1AA", "United Kingdom", "GB"],
    ["東京", "東京都", "100-0001", "Japan", "JP"],
    ["Kuwait City", "Al Asimah", "13001", "Kuwait", "KW"],
    ["Malmö", "Skåne", "211 19", "Sweden", "SE"],
    ["Sydney", "New South Wales", "2000", "Australia", "AU"],
    ["Tallinn", "Harjumaa", "10615", "Estonia", "EE"],
    ["Lagos", "Lagos", "100001", "Nigeria", "NG"],
    ["Québec", "Quebec", "G1A 0A2", "Canada", "CA"],
];
/// Street names.
pub const STREETS: &[&str] = &[
    "Main St",
    "Market Street",
    "Rue de l'Église",
    "Hauptstraße",
    "Mustamäe tee",
    "Avenida Paulista",
    "桜通り",
    "High Road",
];
/// Currencies deals are made in: two decimals, none (JPY, KRW) and three (KWD).
pub const CURRENCIES: &[&str] =
    &["USD", "USD", "USD", "EUR", "EUR", "GBP", "JPY", "KWD", "BRL", "SEK", "KRW"];
/// What deals are about.
pub const DEAL_THINGS: &[&str] = &[
    "renewal",
    "new business",
    "expansion",
    "pilot",
    "annual contract",
    "upgrade",
    "migration",
    "café rollout",
];
/// Sentences for notes and descriptions.
pub const SENTENCES: &[&str] = &[
    "Spoke with the buyer; they want pricing by Friday.",
    "Left a voicemail & followed up by e-mail.",
    "Renewal is likely, budget confirmed for Q3.",
    "They asked about «sécurité» and the data-processing terms.",
    "次回の会議は来週の予定です。",
    "Competitor is 10% cheaper <but> has no support.",
    "Introduced to the new CFO.\nSecond line of the note.",
    "Sent the \"final\" proposal \\ waiting.",
];
