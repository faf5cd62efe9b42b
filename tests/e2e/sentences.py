"""A small bank of sentences, written for these tests, with names of many kinds and with none."""

SENTENCES = """\
Angela Merkel met Tim Cook of Apple in Seoul.
The river froze early that year, and the children walked across it to school.
Siemens will close its plant in Budapest and move the work to Porto.
Nobody at the table spoke until the soup was gone.
Maria Gonzalez left Madrid for a post at the World Bank in Washington.
He bought two loaves, a jar of honey and the evening paper.
Toyota and Honda both lowered their forecasts on Tuesday.
In Kenya, rain fell for the first time since March.
According to John Peterson, the tunnel under the Thames leaks.
She tuned the cello twice before the second movement.
The University of Oxford has asked Sarah Lindqvist to lead the review.
Trains between Lyon and Geneva run every hour.
Pavel Novak scored twice for Sparta Prague against Manchester United.
A good map shows what it leaves out.
The United Nations sent observers to Colombia and to Peru.
Dr. Helen Ward of Imperial College said that the sample was too small.
Please put the keys back where you found them.
Lufthansa cancelled its flights to Tel Aviv and Cairo.
My neighbour keeps bees on the roof of the old post office.
President Macron flew from Paris to Dakar, where he met Macky Sall.
The committee will meet again after lunch.
Intel has hired Rajesh Kumar from Nvidia to run its lab in Bangalore.
It took them three days to paint the fence.
The museum in Amsterdam shows letters that Vincent wrote to his brother Theo.
Most of the eggs were broken when the box arrived.
Microsoft bought GitHub, which has its seat in San Francisco.
Police in Chicago arrested David Miller on Friday.
The soup needs more salt and less patience.
Anna Kowalska grew up in Gdansk and studied in Berlin.
The Red Cross opened a hospital near Kabul.
Wind from the north kept the boats in the harbour.
Real Madrid beat Bayern Munich in Lisbon.
Samuel Okafor, a doctor from Lagos, now works for Doctors Without Borders.
The lamp in the hall has been broken since spring.
Volvo is owned by Geely, a company from Hangzhou.
We met at noon under the big clock and walked to the lake.
Senator Elizabeth Warren asked the Federal Reserve for an answer.
Snow closed the pass between Italy and Austria.
The recipe asks for butter, but oil will do.
Emma Thompson read the poem at the Royal Albert Hall in London.
"""


def bank() -> list[str]:
    """The sentences, in order."""
    return SENTENCES.splitlines()
