"""The currencies of a card payment and the amounts that Stripe takes in them: https://docs.stripe.com/currencies.

A list of the sandbox's own, because it stands for Stripe: taken from the app, it could not show that the app is wrong.
Amounts are in minor units, as the API has them.
"""

from sandbox.payments.errors import StripeError

CODES = frozenset(
    "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf clp "
    "cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr "
    "isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn "
    "myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle "
    "sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd xcg xof xpf yer zar "
    "zmw".split()
)
# A currency without a minimum of its own has that of the account's settlement currency, which a sandbox does not have.
MINIMUM_AMOUNTS = {
    **dict.fromkeys("ars aud brl cad chf cop eur idr ils inr jpy krw nzd php rub sgd usd zar".split(), 50),
    **{"aed": 200, "bgn": 100, "czk": 1500, "dkk": 250, "gbp": 30, "hkd": 400, "huf": 17500, "mxn": 1000},
    **{"myr": 200, "nok": 300, "pln": 200, "ron": 200, "sek": 300, "thb": 1000},
}
# Eight digits, but for three currencies. The card networks of some currencies and regions take more.
MAXIMUM_AMOUNT = 99_999_999
MAXIMUM_AMOUNTS = {"cop": 9_999_999_999, "idr": 999_999_999_999, "inr": 999_999_999}
# No decimals any more, and hundredths in the API still.
EFFECTIVELY_ZERO_DECIMAL = frozenset({"isk", "ugx"})
THREE_DECIMAL = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})


def known(code: str) -> str:
    """The code in lower case. Raises StripeError (400) for one that is not supported."""
    currency = code.lower()
    if currency not in CODES:
        names = ", ".join(sorted(CODES))
        message = f"Invalid currency: {currency}. The sandbox supports these currencies: {names}"
        raise StripeError(400, message, param="currency")
    return currency


def refuse_fractions(amount: int, currency: str, param: str) -> None:
    """Raises StripeError (400) for an amount finer than cards are charged, captured or refunded in this currency."""
    if currency in EFFECTIVELY_ZERO_DECIMAL and amount % 100:
        message = (
            f"Invalid amount. Currency {currency.upper()} has become effectively zero-decimal and charged amounts must "
            "be evenly divisible by 100."
        )
        raise StripeError(400, message, code="invalid_charge_amount", param=param)
    if currency in THREE_DECIMAL and amount % 10:
        message = f"Invalid amount. The last digit of an amount in {currency.upper()} must be 0."
        raise StripeError(400, message, code="invalid_charge_amount", param=param)


def refuse_out_of_limits(amount: int, currency: str) -> None:
    """Raises StripeError (400) below the minimum and above the maximum of this currency."""
    least, most = MINIMUM_AMOUNTS.get(currency, 1), MAXIMUM_AMOUNTS.get(currency, MAXIMUM_AMOUNT)
    if amount < least:
        message = f"Amount must be at least {least} {currency} (minor units)."
        raise StripeError(400, message, code="amount_too_small", param="amount")
    if amount > most:
        message = f"Amount must be no more than {most} {currency} (minor units)."
        raise StripeError(400, message, code="amount_too_large", param="amount")
