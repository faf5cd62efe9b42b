"""The words of the corpus: names of people, places and organizations, and what is said of them."""

from typing import Final

FIRST_NAMES: Final = (
    "Angela Tim Ngozi Lionel Jo Marie Ahmed Yuki Sofia Piotr Fatima Diego Ingrid Rajesh Chloe Mateo"
    " Olga Kwame Leila Hugo Zoë Emeka Astrid Ravi Noor Björn Carmen Tariq Elif Samuel Grace Viktor"
    " Mei Jonas Aisha Lucas Hana Omar Nadia Patrick"
).split()
SURNAMES: Final = (
    "Merkel Cook Okonjo-Iweala Messi Curie Haddad Tanaka Rossi Nowak Al-Sayed Fernández Lindqvist"
    " Patel Dubois Moreno Petrova Mensah Hosseini Laurent van_Dijk Okafor Bergström Iyer Rahman"
    " Sørensen Vega Mahmood Yilmaz Carter O'Neill Horvat Chen Weber Diallo Silva Kim Farouk"
    " Ivanova Byrne Washington"
).split()
PLACES: Final = (
    "Seoul", "Paris", "New York City", "the Rhine valley", "Addis Ababa", "Tromsø", "São Paulo",
    "Berlin", "Lagos", "Lake Geneva", "Osaka", "Buenos Aires", "Wales", "Kraków", "the Sahara",
    "Vancouver", "Chile", "Ho Chi Minh City", "Glasgow", "Anatolia", "Cape Town", "Bavaria",
    "Singapore", "the Gulf of Finland", "Denver", "Kuala Lumpur", "Ireland", "Marseille", "Oaxaca",
    "Minsk", "Tasmania", "Jakarta", "Santiago", "Northumberland", "Riga", "Kenya",
)  # fmt: skip
FIRMS: Final = (
    "Apple", "Deutsche Bahn", "the United Nations", "Toyota Motor", "IKEA", "BBC News", "Siemens",
    "Reuters", "the European Central Bank", "Samsung Electronics", "Nestlé", "Greenpeace",
    "Air France-KLM", "the World Health Organization", "Ferrovial", "Infosys", "Maersk", "UEFA",
    "Harvard University", "Petrobras", "Novo Nordisk", "the Labour Party", "Qantas", "Lufthansa",
    "Kawasaki Heavy Industries", "Oxfam", "Goldman Sachs", "Spotify", "the Supreme Court", "NASA",
)  # fmt: skip
OTHERS: Final = (
    "the Olympic Games", "the Nobel Prize", "Ramadan", "Windows 11", "the Brexit vote", "Hamlet",
    "the World Cup", "the Geneva Convention", "the Oscars", "Boeing 787", "the Tour de France",
)  # fmt: skip
DAYS: Final = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()

# What a person did, without an object: the shortest sentences are made of these.
SHORT_DEEDS: Final = (
    "resigned", "agreed", "declined to comment", "won again", "was late", "smiled", "stepped down",
    "did not reply", "lost", "came back", "disagreed", "apologised", "retired", "waited outside",
)  # fmt: skip
DEEDS: Final = (
    "met {person}", "left {firm}", "moved to {place}", "wrote to {firm}", "spoke about {other}",
    "was born in {place}", "joined the board of {firm}", "thanked {person} for the invitation",
    "signed a contract with {firm}", "opened an office in {place}", "flew to {place} with {person}",
    "criticised the plans of {firm}", "asked for more time", "sold most of the shares",
    "was named head of research", "refused to answer any further questions",
    "bought a small house near {place}", "paid 4.3 million dollars in damages",
    "told reporters that nothing had been decided", "compared the offer with that of {firm}",
    "took part in {other}", "expects prices to rise by another 12 per cent",
)  # fmt: skip
# Clauses that stand alone; some hold no name, as half of all sentences do.
STATEMENTS: Final = (
    "nobody knew what to make of it", "the train from {place} to {place} was late",
    "more than 40 people applied for the job", "the talks broke down", "prices fell",
    "shares of {firm} closed at 18.70 euros", "it had rained in {place} for eleven days",
    "the report blames {firm} for most of the damage", "the bridge near {place} stays closed",
    "the old rules no longer apply", "there is little hope of an early settlement",
    "police in {place} arrested three men", "the minister's visit to {place} was called off",
    "the new model costs less than the one it replaces", "the film tells the story of {person}",
    "{firm} and {firm} will share the costs", "a court in {place} will hear the case",
    "visitors had to queue for hours", "the library keeps letters by {person}",
    "output grew faster than anyone at {firm} had forecast",
)  # fmt: skip
ENDINGS: Final = (
    "in {place}", "on {day}", "last year", "for the third time", "in front of a small crowd",
    "after a long dispute about pensions and working hours", "with the help of {person}",
    "despite warnings from {firm}", "at a conference in {place}", "during {other}",
    "as it often does in winter", "without giving any reason", "shortly before midnight",
    "according to {firm}", "to the surprise of most of those present", "in the spring of 1998",
    "under an agreement that {firm} had brokered", "together with two colleagues from {place}",
)  # fmt: skip
JOINTS: Final = (
    ", and ", " while ", "; ", " because ", " although ", ", but ", " after ", ", so ", " when ",
    ", which surprised nobody: ", ", even though ", " before ",
)  # fmt: skip
