"""Names of places that the tz database does not have."""

from __future__ import annotations

MAIN_ZONES = {
    "AU": "Australia/Sydney",
    "BR": "America/Sao_Paulo",
    "CA": "America/Toronto",
    "CD": "Africa/Kinshasa",
    "CL": "America/Santiago",
    "GL": "America/Nuuk",
    "ID": "Asia/Jakarta",
    "KZ": "Asia/Almaty",
    "MN": "Asia/Ulaanbaatar",
    "MX": "America/Mexico_City",
    "RU": "Europe/Moscow",
    "US": "America/New_York",
}
"""ISO 3166 code → the zone meant by a country whose clocks differ from place to place."""

COUNTRY_NAMES: dict[str, tuple[str, ...]] = {
    "AE": ("uae", "emirates"),
    "BA": ("bosnia", "bosnia and herzegovina"),
    "CD": ("democratic republic of the congo", "drc"),
    "CG": ("republic of the congo",),
    "CI": ("ivory coast", "cote d'ivoire"),
    "CZ": ("czechia",),
    "GB": ("uk", "united kingdom", "great britain", "england", "scotland", "wales", "northern ireland"),
    "IE": ("republic of ireland",),
    "KP": ("north korea",),
    "KR": ("korea", "south korea"),
    "MK": ("macedonia",),
    "MM": ("burma",),
    "NL": ("holland",),
    "SZ": ("swaziland",),
    "TR": ("turkiye",),
    "TT": ("trinidad",),
    "US": ("usa", "us", "america", "united states of america", "the states"),
    "VA": ("vatican",),
    "WS": ("western samoa",),
}
"""ISO 3166 code → names beside the one in ``iso3166.tab``."""

ZONE_NAMES: dict[str, tuple[str, ...]] = {
    "Africa/Cairo": ("alexandria", "giza"),
    "Africa/Casablanca": ("marrakesh", "marrakech", "rabat", "fez"),
    "Africa/Johannesburg": ("cape town", "pretoria", "durban", "jburg"),
    "Africa/Lagos": ("abuja",),
    "America/Anchorage": ("alaska",),
    "America/Argentina/Buenos_Aires": ("argentina",),
    "America/Bogota": ("medellin", "cali"),
    "America/Chicago": (
        "dallas", "houston", "austin", "san antonio", "minneapolis", "new orleans", "saint louis",
        "milwaukee", "kansas city", "memphis", "nashville", "oklahoma", "texas", "illinois", "minnesota",
        "wisconsin", "iowa", "missouri", "louisiana", "alabama", "arkansas", "mississippi", "tennessee",
        "central", "central standard", "cst", "cdt",
    ),
    "America/Denver": (
        "salt lake city", "albuquerque", "colorado", "utah", "wyoming", "montana", "new mexico", "mountain",
        "mountain standard", "mst", "mdt",
    ),
    "America/Detroit": ("michigan",),
    "America/Halifax": ("nova scotia", "atlantic", "atlantic standard"),
    "America/Indiana/Indianapolis": ("indiana",),
    "America/Lima": ("cusco",),
    "America/Los_Angeles": (
        "san francisco", "san diego", "san jose", "sacramento", "oakland", "seattle", "portland", "las vegas",
        "hollywood", "silicon valley", "california", "oregon", "nevada", "washington state", "la", "sf",
        "pacific", "pacific standard", "pst", "pdt", "west coast",
    ),
    "America/Mexico_City": ("guadalajara",),
    "America/New_York": (
        "washington", "washington dc", "dc", "boston", "miami", "atlanta", "philadelphia", "orlando",
        "pittsburgh", "baltimore", "charlotte", "cleveland", "brooklyn", "manhattan", "nyc", "new york city",
        "new york state", "florida", "georgia usa", "massachusetts", "new jersey", "pennsylvania", "ohio",
        "virginia", "north carolina", "south carolina", "maryland", "connecticut", "vermont", "maine",
        "eastern", "eastern standard", "est", "edt", "east coast",
    ),
    "America/Phoenix": ("arizona", "tucson"),
    "America/Sao_Paulo": ("rio", "rio de janeiro", "brasilia"),
    "America/Toronto": ("montreal", "ottawa", "quebec", "ontario"),
    "America/Vancouver": ("british columbia", "victoria bc"),
    "America/Edmonton": ("calgary", "alberta"),
    "Asia/Dubai": ("abu dhabi",),
    "Asia/Ho_Chi_Minh": ("hanoi", "ho chi minh", "saigon"),
    "Asia/Jakarta": ("java",),
    "Asia/Jerusalem": ("tel aviv", "haifa"),
    "Asia/Karachi": ("lahore", "islamabad"),
    "Asia/Kolkata": (
        "mumbai", "bombay", "delhi", "new delhi", "bangalore", "bengaluru", "chennai", "madras", "hyderabad",
        "pune", "goa", "ist",
    ),
    "Asia/Makassar": ("bali", "denpasar"),
    "Asia/Riyadh": ("jeddah", "mecca", "medina"),
    "Asia/Seoul": ("busan",),
    "Asia/Shanghai": (
        "beijing", "peking", "shenzhen", "guangzhou", "chengdu", "wuhan", "hangzhou", "xian", "nanjing",
    ),
    "Asia/Tokyo": ("osaka", "kyoto", "yokohama", "nagoya", "sapporo", "hiroshima", "okinawa", "jst"),
    "Atlantic/Canary": ("tenerife", "gran canaria", "canary islands"),
    "Australia/Brisbane": ("gold coast", "cairns", "queensland"),
    "Australia/Sydney": ("canberra", "new south wales"),
    "Australia/Melbourne": ("victoria",),
    "Europe/Berlin": (
        "munich", "hamburg", "frankfurt", "cologne", "stuttgart", "dusseldorf", "leipzig", "dresden",
        "bavaria", "central european", "cet", "cest",
    ),
    "Europe/Istanbul": ("ankara",),
    "Europe/Kyiv": ("kyiv", "kiev", "lviv", "odesa", "odessa"),
    "Europe/London": (
        "manchester", "birmingham uk", "liverpool", "edinburgh", "glasgow", "cardiff", "oxford", "cambridge",
        "bristol", "leeds", "british", "bst",
    ),
    "Europe/Lisbon": ("porto",),
    "Europe/Madrid": ("barcelona", "seville", "valencia", "bilbao", "malaga"),
    "Europe/Moscow": ("saint petersburg",),
    "Europe/Paris": ("lyon", "marseille", "nice", "toulouse", "bordeaux"),
    "Europe/Rome": ("milan", "venice", "florence", "naples", "turin", "sicily", "bologna"),
    "Europe/Warsaw": ("krakow", "gdansk"),
    "Europe/Zurich": ("geneva", "basel", "bern"),
    "Europe/Amsterdam": ("rotterdam", "the hague", "utrecht"),
    "Europe/Brussels": ("antwerp", "bruges"),
    "Europe/Stockholm": ("gothenburg", "malmo"),
    "Pacific/Auckland": ("wellington", "christchurch", "queenstown"),
    "Pacific/Honolulu": ("hawaii", "waikiki", "maui"),
    "UTC": ("universal", "coordinated universal", "zulu"),
}  # fmt: skip
"""IANA key → names of cities, states and clocks that keep its time."""

CAPITALISED = {
    "acronyms": frozenset(
        "uk us usa uae dc nyc la sf utc gmt est edt cst cdt mst mdt pst pdt cet cest bst ist jst drc".split()
    ),
    "the": frozenset(
        {
            "uk", "us", "usa", "uae", "united states", "united kingdom", "united arab emirates", "emirates",
            "netherlands", "philippines", "bahamas", "maldives", "gambia", "dominican republic",
            "czech republic", "canary islands", "vatican", "east coast", "west coast", "hague", "states",
            "marshall islands", "solomon islands", "cayman islands", "cook islands", "faroe islands",
        }
    ),
}  # fmt: skip
"""Folded names that are written in capitals, and those said with an article."""
