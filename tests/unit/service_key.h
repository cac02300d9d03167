/* SPDX-License-Identifier: Apache-2.0
 *
 * The RSA key that RFC 7515 publishes in its appendix A.2, in PEM as it stands in JSON (a line's end is a backslash and an
 * n), and keys that will not do, made for this file. They protect nothing. */
#pragma once

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

/* A PEM of below with the line ends that it stands for; malloc'ed. */
static inline char *pem_of(const char *text)
{
    char *pem = must_strdup(text);
    char *to = pem;
    for (const char *from = text; *from != '\0'; to++) {
        bool is_end = from[0] == '\\' && from[1] == 'n';
        *to = is_end ? '\n' : *from;
        from += is_end ? 2 : 1;
    }
    *to = '\0';
    return pem;
}

#define RFC_RSA_PEM                                                                                \
    "-----BEGIN PRIVATE KEY-----\\n"                                                               \
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCh+BYK4uPJtGXO\\n"                          \
    "jS1lYmM2K5J9vinh8CR3/BYlzJChNuOL2TSXxbbqY913EeZ8dCn5VrD7io8ImtxL\\n"                          \
    "aYk8wTM/U+3QGbh3hCUv7JFP5IV3aVlL6kKA0ywPVb9ilE8TA5a8bpvfbr3SvaNn\\n"                          \
    "juygxmj3AbONv/s4yDQs4v5tJ/reSlpIdJed1LnPmt7Ex1sFhSwsD174pcF1A5L5\\n"                          \
    "ROjtZMEQxrZHYJqkeDrrnGya11UxMFBji4NmXG9veoKjlnAqH2QbgtPr8jkiGUkf\\n"                          \
    "toaHLFcW9Qr4NY2ai50Xw0Byj3+H2JoY2PyrZ62EWQwuz3WTOTY8BwNNb2BvniHg\\n"                          \
    "VFbK5emhAgMBAAECggEAEq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyW\\n"                          \
    "PEAeP88vLNO97IjlA7/GQ5sLKMgvfTeXZx9SE+7YwVol2NXOoAJe46sui395IW/G\\n"                          \
    "O+pWJ1O0BkTGoVEn2bKVRUCgu+GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzj\\n"                          \
    "kn439X0M/V51gfpRLI9JYanrC4D4qAdGcopV/0ZHHzQlBjudU2QvXt4ehNYTCBr6\\n"                          \
    "XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl/x/jTj3ccPDVZFD9pIuhLhBOneufuBiB\\n"                          \
    "4cS98l2SR/RQyGWSeWjnczT0QU91p1DhOVRuOopznQKBgQDgHMQQ60imZV1URk0K\\n"                          \
    "pLttoLhyt3SmqdEf/kgHePDdtzEafpAu+cS191R2JiuoF2yzWXnwFDcqGigp5BNr\\n"                          \
    "0AHQfD8/Lk8l1Mk09jxxCfui5nYooNyac8YFjm3vItzVCVDnEd3BbVWG8qf6deqE\\n"                          \
    "lMGAg+C2V0L4oNXnP7LZcPAZRwKBgQC5A8R+CZW2MvRTLLHzwZkUXV866cff7tx6\\n"                          \
    "kqa0finGG0KgeqlaZPxgCZnFp7AeAcCMtiynVlJ7vMVgePsLq6XtON4tB5kP9jAP\\n"                          \
    "rq3rbAOal78eUH5OcED6eNuCV8ixEu1eWcPNCS/l1OW1EnXUEoEHKl54Xrrz2uNw\\n"                          \
    "kgMTP1FZ1wKBgAcCn1dwJKufzBWQxWQp1vsM5fggqPN1qGb5y0MAk3g7/Ls5bkUp\\n"                          \
    "5u9SN0Ai3Ya6hNnvWJMb7sXQX6U/zyO2M/hTip7tUeh7CXgwo59dkpN75gJLVds2\\n"                          \
    "9+DAncu3KXU4f2Fa+7bLNrur53k8KwPOq2bbuTG69QtV7Jr5MR0AHWKNAoGBAIf/\\n"                          \
    "evpitUf+4JYbLpvNXWcY052Mpz22aR84mY3nh3F2LF2mjMJDpTg7FmuyPcVw6EcG\\n"                          \
    "yoAe9fa65iNqCq+jdw6PVNGo2hxfjSiZ8IIzHdsPXI89//pMjZcQK9r+CCoRjaZj\\n"                          \
    "OYiIDktVWZzmevJuv6WywUqd57LE3Zar3dLSIkx1AoGAIYd7DHOhrWvxkwPQsRM2\\n"                          \
    "tOgrjbcrfvtQJipd+DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd/QJQ3\\n"                          \
    "ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp/gh6A56\\n"                          \
    "03k2+ZQwVK0JKSHuLFkuQ3U=\\n"                                                                  \
    "-----END PRIVATE KEY-----\\n"

/* 1024 bits. */
#define SMALL_RSA_PEM                                                                              \
    "-----BEGIN PRIVATE KEY-----\\n"                                                               \
    "MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBANpANB6e7UQeEOKk\\n"                          \
    "+/nQYz9yTfkHQcgcsiZ3hyztnGy+MH58WOHyflz7Xt3Q4ym8OdIYFyVxCMtka3Gd\\n"                          \
    "6qv675GekHY9PiboAiPpp56my53G1Ntt9mKmxxIrJGOLtoGu+WgRtTw8+cKsqCws\\n"                          \
    "MrWZxlD3VFcU+NSx3NNO5dszhkuJAgMBAAECgYEAuvGTs0beZSJ7xCcdznW5DXeT\\n"                          \
    "YmPc7NPnpRttJgbBnkOqti081Q0pP+vw7n8mlXEs9dC8ws13gwCZJ9DkWjuvR69g\\n"                          \
    "JXiIS3jIPdU7G/QKtcYq9MpP3wLlCLCaVwmQ3mnQhvp0DvVfK6Tw8mEzM0yx+8BQ\\n"                          \
    "gd2k5pYsOvwFq4CkCoECQQDt2RZAv+UkVg55djtgDalDBP6ayg58zhGASNNuPg2g\\n"                          \
    "SAbYDqg30+328HrdswB3MEb6WY6rDX8PvYYFa1OrxcWVAkEA6ug9ZcGfVn+nauYL\\n"                          \
    "nKpIWTJaTUKKcBL/nsSd7J7VWEiY9RXq17w1Xt4TXNj/O3F7LxZtSb8+c+K8MZRT\\n"                          \
    "L2SJJQJBANS8yRSdDt0TQ9sMD0t4rJ5PR1M3ywGCZ1Dw0nvWcOWdxtFVOszEeCHZ\\n"                          \
    "Mmw9gPsaaUHe/KauaamwgME0ICCRwokCQDdnOPvj89Gx3+mdgkWb/95RuuyX8hDG\\n"                          \
    "2lU26Exjlcvxq2m6lp31PN04IXb3kxMRC82qS3JmUbOBWYOUCR6XZqUCQHWp2cW0\\n"                          \
    "Ouc86SbSTFoCQ2hSqZ1EbW+Hja/WjAIgvtRcgLTrzoculLXjwTEODryrWoA73akY\\n"                          \
    "fmOGVzoVkV0mRec=\\n"                                                                          \
    "-----END PRIVATE KEY-----\\n"

/* For another way of signing. */
#define PSS_PEM                                                                                    \
    "-----BEGIN PRIVATE KEY-----\\n"                                                               \
    "MIIEuwIBADALBgkqhkiG9w0BAQoEggSnMIIEowIBAAKCAQEA50o7LWijv6pLaAj8\\n"                          \
    "AmoO+ejNQ6IOfVj15oPQrIEHvfIkQqX0qYWtRsHoKQ4Ug0RlCPi3VPCRGuJqz+5W\\n"                          \
    "pIhqhjA3DNJPEiF7KSu/Z0BrCEJzDs+zcWm0wghM46+CRxdaBLZ3XkFnAsbLPk1+\\n"                          \
    "4XpE4O+YG7ToCEpqOp+sXr2HmknDTrJN0SZdaVMMiqBULLnzrVp3SNCz4wwiiXIX\\n"                          \
    "PGIU0z5j8zFj7pkgfOUeDFykytWupqTuSRcdLhWJ7ryWoQBM6Tt0kQnD4jFq9q2u\\n"                          \
    "W5Z5R/7FwNulekJbS3xgI85UAsq4rkxDH1PEmdmzx+fVeR9c8d/wasjmpxp6xhU3\\n"                          \
    "4GGjuQIDAQABAoIBABauje0fFOfn8GssbmJiOkPB09dtHhSm076ecKlqIfM7utia\\n"                          \
    "Y8r4JA0LWRQloFdbLrlZgskeqmxDhgwMKI0MH743Hj7wpPZ3OBfKhYO/qn9t3NC4\\n"                          \
    "B7X4ktRwcfHmNVV5cceCiWRB77MzAZ2Dhgzgq76PYJBfBl5Bxfcnz4Se+5xirbpR\\n"                          \
    "ZscXtcl1Nb1j+FIxsGvXUhoG0I0YePtULzUNbuKQs/szZ2k+5z4ij7sHmYYS82fO\\n"                          \
    "Rp6lvaS3QcVzBE/chI/RZLe89LZ59WIyeUwwh4mLfww6yfFaBVi2jsr3d5dp7Fef\\n"                          \
    "HdPNLY0G59ebvdoEuZaj0YvXPox2Z+JH+oZEuD0CgYEA+SA4mquh1B+667xnVm1M\\n"                          \
    "5ro/DNcyxJy8mATApmRBitvJS4v3vfK+0Jg5jnw9fHxEGzTwP2kwgUlTxqoODQpc\\n"                          \
    "cGGScBmFpgcskrAQ7MEk6ABY03vc4K1okIdH7SZr4aJxZwROqmga+S2m0cwxQDG5\\n"                          \
    "jZ/zcJHZM7Oy1oyzBUaJdecCgYEA7awFRGTe9aneQ6yn5RXSMwIDt9LPbDsoJOo3\\n"                          \
    "2jC6SvPZXtR4CmoD9PSSJ0Jleoh3JfSvm4TzOV73HkGVVVVxI3UPe9aHPtG2GkVs\\n"                          \
    "TQdPrm8UnaM0S8j9Diw1vlS5xqpgQm0wUxe8BuIz4j3Z0Oq5wF5VzsShX7az5+k/\\n"                          \
    "RdR3pV8CgYBcFiX2PlUeVPBCLS1BjDtt2hBuTamtdYZc5vzTRKHZky6QJ1fXNcCE\\n"                          \
    "2JAF9DTCLCj8qY/Y0KgmUhWOjNOOzHKo89guabC2U1aNjlljOm3K+D3dRp65yj+p\\n"                          \
    "lOfoaFheWi5y9uuhH8RAsThFuqXF5duB10skJDVWYClOF0ohPBaZpwKBgQCT3GUa\\n"                          \
    "e7bKFvgUGiIJv12aJjKx9hDdQKBk9uHweEgtwS8GdCCKOhJkHpOeoQwJA0U889Ec\\n"                          \
    "a8X1d0M+K4cAI7vTV0xeusRBLK6iAXazJU1JNAobWCF81Hm6i36T/pnlIrHoIY3i\\n"                          \
    "4+0ySyAELH6KHr2ZFBdGH8ZViZC7Qrz+cIRO+QKBgGraSOaVu1LqkyTi//Yc3JN3\\n"                          \
    "yVXUuCjreQAohAH/J6Mp+HBs5xSuBq8zeeKAI+LeHmJZPUhtogOWXVewWCWgWbDO\\n"                          \
    "88L623ncqGoPQps+/Gwbp1MWjf+FDgOjCfs8/VoU41qzUpFopHPNKHk35Sgkyqx7\\n"                          \
    "P82q/k5tHBJT/3GUgwDA\\n"                                                                      \
    "-----END PRIVATE KEY-----\\n"

/* Of another kind. */
#define EC_PEM                                                                                     \
    "-----BEGIN PRIVATE KEY-----\\n"                                                               \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgZlT6gQvFjsuMRZFH\\n"                          \
    "yAjwY7Gb48TupMgHWfCO6Z1VZzKhRANCAAS1gDiSEAC9Ix2QCOhS0+ntS7iUJmZZ\\n"                          \
    "CGGC9B5rSi16YBnenbnS4yl7maIl7s9Em4XbnUvWfg+DWZK84gCZBzhc\\n"                                  \
    "-----END PRIVATE KEY-----\\n"

/* With a password. */
#define ENCRYPTED_PEM                                                                              \
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\\n"                                                     \
    "MIIFNTBfBgkqhkiG9w0BBQ0wUjAxBgkqhkiG9w0BBQwwJAQQyMAoE/E1LpehUkHN\\n"                          \
    "LxYpPwICCAAwDAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEHDkpV0OVUNwzvgr\\n"                          \
    "OkIhJwkEggTQajtEzjA3PskKqIYAab8M5Wj9VCH1RwbUubiFrlxWT/a05ivJ/G/v\\n"                          \
    "Rw/QmQyl0cSw6P4JAR7Ioz00v1B2/18qFlh0QoVBn/Hjobv/3ip7A/9QeeiXoYKy\\n"                          \
    "WAwxQknNRdX8vCmqFgw5ddztgAsEEV8b6qdNJgKyngCuIjr2683tzVM32kLhC/fi\\n"                          \
    "Yq7eNsD6OuoCZ3URt4rjzrQ0RSmB8yTK2mWzuaSJ97/s/HNu3jn3qW59BsGhz7dX\\n"                          \
    "Xr+Ce8VeiBDiI7ohkNN+xHKicTyLNcj2tfKMapBOVC4pQUBt10UiXhKI5roPKmzZ\\n"                          \
    "906kh4M3q1lHV8tkYVgg6Y0YpbuD2Tcyuvn/xKBZuuhLZAaQ6yhwGyjYuS1fCcj8\\n"                          \
    "IIzTGGdXsJn01Gk1wB537gpSGtJPUlDXGevvWZZ5WnDVAejgNB34KW1Otp/+N9lY\\n"                          \
    "lI6wCGiEd8o/Q+65h3TzNIZ4e/KdBZnCSJux/UMtQuRvMVjJNsG45jQeGOG54aeJ\\n"                          \
    "EC758Cr14kXlWjToVCk2MSCJCa3rLMiW+o/aHJ3vN8gev/op4gvdYS85LZivp0aS\\n"                          \
    "HtypaU67JWZ7qozvQgEEfgY+qHh8YPnOVcq8FuZFn1rriO+XGKDbQNAtgMtsb6fH\\n"                          \
    "NcI0t39rXSzOeFBDUNaOyd8Rj4hW+o2KyBs3lCBdCJFrFTIfTD363XfKhwcAyikp\\n"                          \
    "L/9pR7ow3aZ/VIipm7j1fs1Ol3dsJE28oj6V6Aou3NZ6+UZX9sqBSixJ7qpwOFIH\\n"                          \
    "JYw59H+7tGGLd+dKg5e2lfEIedxHuWZCAcjF0PrmIfVyKQDdt99bE7zRPqGftwUT\\n"                          \
    "/8vgZmbPYbx9yWaDzPNIu9sIlflzpoHwcrroQxt1NdnSz+sYsWWLQyXfSKBnYd18\\n"                          \
    "XG1H+TkwZ8bTUEZIILcCue2+e2MAToMdMXr1TifgqLZDKTcOAAlQbTAOGdIoRuEh\\n"                          \
    "5iziu2IeCahSnKWTa6isoXoS0K5UsK71ECkr4NpIRxPCGtTQakUJxWQlP921Hn+b\\n"                          \
    "qOB1tOhdwd7WyDbKVEM+An5KhEZcVEm0zxlzf+EUO/4fMd1bPai0GhbaxdmA+d0u\\n"                          \
    "HAgmowctVyEE26i6MaQr7UT8DWZwrDaZLJ6b0LHYnrtRx7kb+NcqH9wD8EaSITY/\\n"                          \
    "TyidcnCHJjv7d4a0XJNEIjqJtAhn8fOZ1LMKdLmTxg5YsQ4bpG08CaO5mc30g5v9\\n"                          \
    "SQaB1qk2RJI4ptVwwpI/AmRZT7Am5+WrsHAmd9qNitHsREfKCzJjnjEXv8W/2jWZ\\n"                          \
    "JahJWsYQQf+d6RznVFDeSzor+I4XX0MwdX3Z9MBjH5KK/qMokgksqPZnqKl92EKM\\n"                          \
    "Uww3HUehnukFin5lq3RU5Fb3f8f4hP5CI4mETT2ODZexLP+57CUkdx1B/mVn6Y31\\n"                          \
    "q6iilFsUXHY2W9BMy7mazxWot4w5LDJr6Sp5AA1FDf1JxM0aWlfaxtisfSLfWLkd\\n"                          \
    "7TmBJjrlqri/RSKouVLOKSYKar4q7pGv4RBMQsJ8to2/NX5MjWdkjwARZglrKU8i\\n"                          \
    "fiGzBhVG549xmGjbGwAHqZ5abOJGeFxiPRmLqwxDQjlRSWlFs5+Rx4tQtN9QFHQd\\n"                          \
    "ZOon2OKvou3ZLvfqyx+v/HtupRi8/vnF9WqsK7Yx129aWH38qOFHYSM=\\n"                                  \
    "-----END ENCRYPTED PRIVATE KEY-----\\n"

#define ACCOUNT_JSON(pem, uri)                                                                     \
    "{\"type\": \"service_account\", \"project_id\": \"films\", \"private_key_id\": \"k1\", "      \
    "\"private_key\": \"" pem "\", \"client_email\": \"films@example.iam.gserviceaccount.com\", "  \
    "\"token_uri\": \"" uri "\"}"
