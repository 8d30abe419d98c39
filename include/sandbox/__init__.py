"""Local stand-ins that speak the sources' real wire formats.

For a machine with no tokens or no network: one HTTP service for Banxico SIE, INEGI, the UCI
archive, Frankfurter and Open-Meteo (`python -m include.sandbox --port N`), and the bank's own database
(`python -m include.sandbox.core_banking`). Exchange rates, interest rates and inflation are
real; what is simulated says so, in the header `X-Data-Origin` or in the database's comment.
"""
